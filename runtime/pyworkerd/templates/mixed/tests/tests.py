"""Each class with a `test` method is a test; it passes if it returns."""

from workers import WorkerEntrypoint


class Counts(WorkerEntrypoint):
    async def test(self) -> None:
        assert await self.env.WORDS.count("to be or not to be") == {"words": 6, "longest": "not"}
        assert await self.env.WORDS.count("") == {"words": 0, "longest": ""}


class Shows(WorkerEntrypoint):
    async def test(self) -> None:
        response = await self.env.SITE.fetch("http://site/?text=one+<two>")
        assert "2 words, the longest is &#60;two&#62;" in await response.text()


class Misses(WorkerEntrypoint):
    async def test(self) -> None:
        assert (await self.env.SITE.fetch("http://site/elsewhere")).status == 404
