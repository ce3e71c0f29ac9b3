from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        try:
            await fetch("http://127.0.0.1:9/")
        except Exception as error:
            return Response(error.code)
