"""The catalogue: what there is, and what it costs. Only the shop talks to it."""

from urllib.parse import urlsplit

from prices import PRICES, in_currency
from workers import Response, WorkerEntrypoint


class Catalogue(WorkerEntrypoint):
    """Methods for other workers: arguments and results are copied."""

    async def names(self):
        return sorted(PRICES)

    async def find(self, name, currency):
        if name not in PRICES:
            return None
        return {"name": name, "price": in_currency(PRICES[name], currency), "currency": currency}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = urlsplit(request.url).path.rpartition("/")[2]
        if name not in PRICES:
            return Response("There is no such article.\n", status=404)
        currency = await self.env.SHOP.currency()
        return Response(f"{name}: {in_currency(PRICES[name], currency)} {currency}\n")
