import random

from workers import Response, WorkerEntrypoint

seen = []


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        seen.append(random.random())
        return Response(f"{len(seen)}")
