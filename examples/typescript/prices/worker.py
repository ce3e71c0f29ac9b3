"""What everything costs, and until when."""

from datetime import UTC, datetime, timedelta

from workers import WorkerEntrypoint

PRICES = {"tea": 450, "coffee": 700, "cocoa": 600}


class Default(WorkerEntrypoint):
    async def articles(self):
        return set(PRICES)

    async def of(self, article):
        if article not in PRICES:
            return None
        return {"cents": PRICES[article], "until": datetime.now(UTC) + timedelta(days=7)}
