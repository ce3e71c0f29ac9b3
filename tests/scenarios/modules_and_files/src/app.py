import importlib.resources

import vendored
from shop.prices import price
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        with open("data.txt") as file:  # noqa: PTH123 - the plain way has to work
            read = file.read().strip()
        packed = importlib.resources.files("shop").joinpath("prices.csv").read_text().strip()
        return Response.json([price("tea"), vendored.NAME, read, packed])
