from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("upgrade") != "websocket":
            return Response("this is for WebSockets", status=426)
        return await self.env.ROOM.fetch(request)
