from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        path = "/" + request.url.split("/", 3)[3]
        if path.startswith("/first/"):
            answer = await env.ASSETS.fetch(f"http://assets{path.removeprefix('/first')}")
            return Response(f"{answer.status} {await answer.text()}")
        return Response.json([request.method, path])
