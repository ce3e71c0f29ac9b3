from urllib.parse import parse_qs, urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        names = parse_qs(urlsplit(request.url).query).get("name", ["world"])
        return Response(f"{self.env.GREETING}, {names[0]}!\n")
