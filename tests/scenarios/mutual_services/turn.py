from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        left = int(request.url.rsplit("/", 1)[1])
        if not left:
            return Response(env.NAME)
        answer = await env.OTHER.fetch(f"http://other/{left - 1}")
        return Response(f"{env.NAME} {await answer.text()}", status=answer.status)
