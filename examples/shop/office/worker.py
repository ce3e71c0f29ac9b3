"""The office: confirms orders as they come in, and tells from time to time how business goes."""

import json

from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def queue(self, batch):
        confirm = self.env.DB.prepare("UPDATE orders SET status = 'confirmed' WHERE id = ?")
        await self.env.DB.batch([confirm.bind(message.body["order"]) for message in batch.messages])
        for message in batch.messages:
            print("confirmed", message.body["order"])

    async def scheduled(self, _controller):
        row = await self.env.DB.prepare(
            "SELECT count(*) AS orders, coalesce(sum(cents), 0) AS cents FROM orders"
        ).first()
        await self.env.NOTES.put("business", json.dumps(dict(row)))
        print("business:", row.orders, "orders")
