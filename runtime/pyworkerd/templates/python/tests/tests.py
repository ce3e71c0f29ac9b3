"""Each class with a `test` method is a test; it passes if it returns."""

from workers import WorkerEntrypoint


class Greets(WorkerEntrypoint):
    async def test(self) -> None:
        response = await self.env.HELLO.fetch("http://hello/?name=<Ada>")
        assert response.status == 200
        assert "Hello, &lt;Ada&gt;!" in await response.text()


class Counts(WorkerEntrypoint):
    async def test(self) -> None:
        first = await self.env.HELLO.visit()
        assert await self.env.HELLO.visit() == first + 1


class Misses(WorkerEntrypoint):
    async def test(self) -> None:
        response = await self.env.HELLO.fetch("http://hello/elsewhere")
        assert response.status == 404
