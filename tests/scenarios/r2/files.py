from workers import Headers, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        key = request.url.split("/", 4)[4]
        if request.method == "PUT":
            written = await env.FILES.put(key, request.body, httpMetadata=request.headers)
            return Response(str(written.size), status=201)
        if request.method == "DELETE":
            await env.FILES.delete(key)
            return Response(None, status=204)
        if not key:
            return Response.json([found.key for found in (await env.FILES.list()).objects])
        found = await env.FILES.get(key, range=request.headers)
        if found is None:
            return Response("nothing", status=404)
        headers = Headers()
        found.write_http_metadata(headers)
        return Response(found.body, status=206 if found.range else 200, headers=headers)
