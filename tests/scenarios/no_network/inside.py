from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        try:
            await fetch("http://example.com/")
        except Exception as error:
            return Response(error.code)
