from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind = request.url.rsplit("/", 1)[1]
        if kind == "raise":
            raise KeyError("a detail for the log")
        if kind == "loop":
            while True:
                pass
        if kind == "memory":
            return Response(str(len(b"x" * 10**9)))
        if kind == "nothing":
            return None
        return Response("fine")
