from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        path = request.url.partition("/front")[2]
        answer = await env.FILES.fetch(f"http://disk{path}", method=request.method)
        return Response(answer.body, status=answer.status, headers={"content-type": "text/plain"})
