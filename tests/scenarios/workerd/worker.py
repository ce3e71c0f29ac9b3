from lib.words import WORD
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await self.env.HELLO.fetch("http://hello/")
        return Response(f"{WORD}: {(await answer.json())[0]}")
