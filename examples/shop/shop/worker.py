"""The shop: what visitors' browsers talk to. Pages are files in `public`; everything below /api comes here.

Each change can be asked for twice and happens once, so a page may try again whenever a connection breaks.
"""

import json
import secrets
from urllib.parse import urlsplit

from cart import Cart  # exported: its objects are made by the runtime
from workers import Response, WorkerEntrypoint

__all__ = ["Cart", "Default"]


class Refused(Exception):
    """Told to the browser: a status, and why."""


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path.removeprefix("/api")
        visitor, cookie = self.visitor(request)
        try:
            response = Response.json(await self.answer(request, path, self.env.CARTS.get_by_name(visitor)))
        except Refused as refused:
            status, reason = refused.args
            response = Response.json({"error": reason}, status=status)
        if cookie:
            response.headers["set-cookie"] = cookie
        return response

    def visitor(self, request):
        for part in (request.headers.get("cookie") or "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "visitor" and value:
                return value, None
        visitor = secrets.token_urlsafe(16)
        return visitor, f"visitor={visitor}; Path=/; HttpOnly; SameSite=Lax"

    async def answer(self, request, path, cart):
        match request.method, path.strip("/").split("/"):
            case "GET", ["articles"]:
                return {"articles": await self.articles()}
            case "GET", ["cart"]:
                return {"items": await cart.items()}
            case "PUT", ["cart", article]:
                return {"items": await self.put_into(cart, article, await request.json())}
            case "POST", ["orders"]:
                return {"order": await self.order(cart)}
            case "GET", ["orders", number]:
                return await self.placed(number)
            case "GET", ["business"]:
                return await self.env.NOTES.get("business", "json") or {}
        raise Refused(404, "there is no such thing")

    async def articles(self):
        known = await self.env.NOTES.get("articles", "json")
        if known is None:  # asked once a minute at most, however many look at them
            found = await self.env.DB.prepare("SELECT name, title, cents FROM articles ORDER BY name").all()
            known = [dict(row) for row in found.results]
            await self.env.NOTES.put("articles", json.dumps(known), expiration_ttl=60)
        return known

    async def put_into(self, cart, article, wanted):
        count = wanted.get("count") if isinstance(wanted, dict) else None
        if type(count) is not int or not 0 <= count <= 100:
            raise Refused(400, "count must be a number from 0 to 100")
        if article not in {each["name"] for each in await self.articles()}:
            raise Refused(404, f"there is no article named {article}")
        return await cart.put(article, count)

    async def placed(self, number):
        found = self.env.DB.prepare("SELECT status, cents FROM orders WHERE id = ?").bind(number)
        if (order := await found.first()) is None:
            raise Refused(404, "there is no such order")
        return order

    async def order(self, cart):
        """Buy what is in the cart: stock goes down and the order is there, both or neither."""
        number, items = await cart.checkout()
        if not items:
            raise Refused(409, "the cart is empty")
        try:
            await self.write(number, items)
        except Exception as error:
            if "CHECK constraint failed" in str(error):
                await cart.give_up(number)
                raise Refused(409, "something in the cart is sold out") from error
            if "UNIQUE constraint failed: orders.id" not in str(error):
                raise  # otherwise it was written when this was asked for before
        await self.env.ORDERS.send({"order": number})
        await cart.done(number)
        return number

    async def write(self, number, items):
        db = self.env.DB
        take = db.prepare("UPDATE articles SET stock = stock - ? WHERE name = ?")
        item = db.prepare("INSERT INTO order_items VALUES (?, ?, ?)")
        await db.batch(
            [
                db.prepare("INSERT INTO orders (id, cents) VALUES (?, 0)").bind(number),
                *(take.bind(count, article) for article, count in items.items()),
                *(item.bind(number, article, count) for article, count in items.items()),
                db.prepare(
                    "UPDATE orders SET cents = (SELECT sum(i.count * a.cents) FROM order_items i "
                    "JOIN articles a ON a.name = i.article WHERE i.order_id = orders.id) WHERE id = ?"
                ).bind(number),
            ]
        )
