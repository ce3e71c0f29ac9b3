"""The shop: what customers talk to."""

from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        if path == "/":
            return Response.json({"articles": await self.env.CATALOGUE.names()})
        if path.startswith("/articles/"):
            return await self.article(path.removeprefix("/articles/"))
        if path.startswith("/pages/"):
            # The request itself goes on to the other worker, and its response comes back as it is.
            return await self.env.PAGES.fetch(request)
        return Response("There is no such page.\n", status=404)

    async def article(self, name):
        found = await self.env.CATALOGUE.find(name, currency=self.env.SETTINGS["currency"])
        if found is None:
            return Response.json({"error": f"there is no article named {name}"}, status=404)
        return Response.json(found)


class Office(WorkerEntrypoint):
    """What the catalogue may ask. Customers cannot reach it: no socket leads here."""

    async def currency(self):
        return self.env.SETTINGS["currency"]
