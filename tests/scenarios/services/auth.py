from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{request.method} {await request.text()}", status=418, headers={"x-by": "auth"})

    async def check(self, word):
        if not word:
            raise ValueError("an empty word")
        return {"word": word, "length": len(word)}


class Admin(WorkerEntrypoint):
    async def role(self):
        return self.ctx.props["role"]
