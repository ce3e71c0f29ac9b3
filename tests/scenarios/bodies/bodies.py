from workers import Response, WorkerEntrypoint


async def upper(body):
    async for chunk in body:
        yield bytes(chunk).upper()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/upper"):
            return Response(upper(request.body))
        if request.url.endswith("/count"):
            return Response(str(len(await request.bytes())))
        return Response(request.body)
