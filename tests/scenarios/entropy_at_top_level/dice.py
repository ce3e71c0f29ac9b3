import random

from workers import Response, WorkerEntrypoint

DICE = random.SystemRandom().randint(1, 6)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(DICE))
