"""A cart: one object for each visitor, wherever it is asked from."""

import secrets

from workers import DurableObject


class Cart(DurableObject):
    async def items(self):
        return self.ctx.storage.kv.get("items") or {}

    async def put(self, article, count):
        """Have so many of an article in the cart; saying it twice changes nothing."""
        kept = self.ctx.storage.kv
        items = kept.get("items") or {}
        if count:
            items[article] = count
        else:
            items.pop(article, None)
        kept.put("items", items)
        return items

    async def checkout(self):
        """What is to be bought, and under which number: the same until it is done."""
        kept = self.ctx.storage.kv
        number = kept.get("number")
        if number is None:
            number = secrets.token_hex(8)
            kept.put("number", number)
        return [number, kept.get("items") or {}]

    async def done(self, number):
        """It is bought."""
        if self.ctx.storage.kv.get("number") == number:
            self.ctx.storage.kv.delete("items")
            self.ctx.storage.kv.delete("number")

    async def give_up(self, number):
        """It cannot be bought; the items stay."""
        if self.ctx.storage.kv.get("number") == number:
            self.ctx.storage.kv.delete("number")
