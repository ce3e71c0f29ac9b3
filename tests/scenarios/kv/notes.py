from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        key = request.url.rpartition("/")[2]
        if request.method == "PUT":
            await env.NOTES.put(key, request.body, metadata={"by": "test"}, expirationTtl=600)
            return Response(None, status=204)
        if request.method == "DELETE":
            await env.NOTES.delete(key)
            return Response(None, status=204)
        if not key:
            return Response.json([item.name for item in (await env.NOTES.list()).keys])
        stream = await env.NOTES.get(key, type="stream")
        return Response("nothing", status=404) if stream is None else Response(stream)
