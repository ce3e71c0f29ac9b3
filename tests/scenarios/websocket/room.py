from workers import Response, WebSocketPair, WorkerEntrypoint


class Room(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair().object_values()
        server.accept()
        self.ctx.waitUntil(self.talk(server))
        headers = {}
        if "v2" in request.headers.get("sec-websocket-protocol", ""):
            headers["sec-websocket-protocol"] = "v2"
        return Response(None, status=101, web_socket=client, headers=headers)

    async def talk(self, server):
        async for message in server:
            if message == "leave":
                server.close(4000, "as you wish")
            else:
                await server.send(message)
        print("left with", server.close_code)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("nothing here", status=404)
