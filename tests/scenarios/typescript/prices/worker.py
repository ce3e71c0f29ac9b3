from datetime import UTC, datetime

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def of(self, article, options):
        if article != "tea":
            raise TypeError(f"there is no {article} for {options.currency}")
        return {"article": article, "price": 4, "when": datetime(2026, 11, 26, tzinfo=UTC)}

    async def fetch(self, request):
        return Response(f"<title>{await self.env.FRONT.title('prices')}</title>", headers={"x-by": "python"})
