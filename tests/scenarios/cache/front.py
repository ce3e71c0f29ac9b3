from workers import Response, WorkerEntrypoint, caches

made = [0]


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        found = await caches.default.match(request)
        if found is not None:
            return found
        made[0] += 1
        response = Response(f"made {made[0]}", headers={"cache-control": "public, max-age=60", "etag": '"x"'})
        await caches.default.put(request, response.clone())
        return response
