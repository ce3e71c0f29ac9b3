from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        found = [await env.LIMITER.limit(key=request.url) for _ in range(3)]
        return Response.json([one["success"] for one in found])
