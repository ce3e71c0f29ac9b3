"""Another process with the same objects: it does what it is told on standard input, and answers in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Binding, Limits, ObjectClass

from tests.runtime.counter import COUNTER

SOURCE = {
    "worker.py": """
import asyncio
from workers import DurableObject, Response, RpcTarget, WorkerEntrypoint, WritableStream

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def spread(self, way, rounds):
        room, done = self.env.ROOM.get_by_name("a"), 0
        fan = await room.fan() if way == "lent" else None
        for _ in range(rounds):
            try:
                if way == "fetch":
                    await room.fetch("http://room/fan")
                else:
                    await (fan(way) if fan else room.fans(way))
            except Exception as error:
                if getattr(error, "code", "") == "exceeded_subrequests":
                    break
            done += 1
        return done

    async def spread_at_once(self, rounds):
        room = self.env.ROOM.get_by_name("a")
        done = await asyncio.gather(*(room.fans("call") for _ in range(rounds)), return_exceptions=True)
        return done.count(None)

    async def leave(self, rounds):
        room = self.env.ROOM.get_by_name("a")
        for number in range(rounds):
            made = asyncio.Event()
            async def tell():
                made.set()
            call = asyncio.create_task(room.fans_for_nobody(tell))
            waiting = asyncio.create_task(made.wait())
            await asyncio.wait((call, waiting), return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return number
            call.cancel()
        return rounds

    async def maps(self, name, items):
        seen = []
        room = self.env.ROOM.get_by_name(name)
        return [await room.each(items, lambda item: seen.append(item) or item * 10), seen]

    async def counts(self, name):
        counter = await self.env.ROOM.get_by_name(name).counter()
        found = [await counter.add(), await counter.add(5), await counter.value]
        try:
            await counter.nothing()
        except Exception as error:
            found.append(error.code)
        return found

    async def written(self, name, pieces):
        sizes = []
        stream = WritableStream(lambda piece: sizes.append(len(piece)), lambda: sizes.append("closed"))
        await self.env.ROOM.get_by_name(name).writes(stream, pieces)
        return [sum(sizes[:-1]), sizes[-1]]

    async def passed_on(self, name, pieces, rounds):
        room = self.env.ROOM.get_by_name(name)
        for _ in range(rounds):
            await room.writes(await room.takes(), pieces)
        return await room.taken()

    async def many(self, name, count):
        return await asyncio.gather(*(self.env.ROOM.get_by_name(name).add() for _ in range(count)))

    async def fetch(self, request):
        return await self.env.ROOM.get_by_name("a").fetch(request)

"""
    + COUNTER
    + """
    async def back(self, callback):
        return await callback(self._value)

    async def slow(self):
        await asyncio.sleep(3600)

class Room(DurableObject):
    made = 0

    async def each(self, items, callback):
        return [await callback(item) for item in items]

    async def counter(self):
        return Counter()

    async def echo(self, stub):
        return stub

    async def gives(self, pieces):
        async def source():
            for _ in range(pieces):
                yield bytes(65536)

        return Response(source()).body

    async def writes(self, stream, pieces):
        async with stream:
            for _ in range(pieces):
                await stream.write(bytes(65536))

    async def takes(self):
        self.sizes = sizes = []
        return WritableStream(lambda piece: sizes.append(len(piece)), lambda: sizes.append("closed"))

    async def taken(self):
        return [sum(self.sizes[:-1]), self.sizes[-1]]

    async def counts(self, stream):
        size = 0
        async for chunk in stream:
            size += len(chunk)
        return size

    async def fans(self, way):
        for _ in range(20):
            await self.env.ROOM.get_by_name("c").in_memory()
        if way == "fails":
            raise KeyError(way)

    async def fans_for_nobody(self, tell):
        await self.fans("call")
        await tell()
        await asyncio.Event().wait()

    async def fan(self):
        return self.fans

    async def add(self):
        self.made += 1
        count = (await self.ctx.storage.get("count") or 0) + 1
        await self.ctx.storage.put("count", count)
        return count

    async def in_memory(self):
        return self.made

    async def fails(self):
        raise KeyError("as it was told")

    async def wait(self):
        self.waiting = True
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting = False

    async def rings(self, when):
        await self.ctx.storage.set_alarm(when)

    async def alarm(self, info):
        await asyncio.sleep(0.3)
        self.made += 7

    async def waits(self):
        return getattr(self, "waiting", None)

    async def around(self, name, left):
        return left if not left else await self.env.ROOM.get_by_name(name).around("b" if name == "a" else "a", left - 1)

    async def fetch(self, request):
        if request.url.endswith("/socket"):
            from workers import WebSocketPair
            client, server = WebSocketPair().object_values()
            server.accept()
            server.addEventListener("message", lambda event: server.send(event.data))
            return Response(None, status=101, web_socket=client)
        if request.url.endswith("/fan"):
            await self.fans("fetch")
        if request.url.endswith("/break"):
            async def half():
                yield b"x" * 100_000
                raise ValueError("no more")
            return Response(half())
        size = 0
        if request.body is not None:
            async for chunk in request.body:
                size += len(chunk)
        async def answer():
            for _ in range(30):
                yield b"y" * 100_000
        return Response(answer(), status=201, headers={"x-size": str(size), "x-id": str(self.ctx.id)})
"""
}
SLEEPY = ObjectClass("Room", idle_ms=20)
"""It hibernates between what it is told."""
ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room")}


def opened(folder: Path) -> Runtime:
    """A runtime whose objects are kept in this folder."""
    return Runtime(options=RuntimeOptions(state_dir=folder))


async def main(folder: Path, calls: int) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    async with opened(folder) as runtime:
        worker = await runtime.load(
            SOURCE,
            name="shop",
            bindings=ROOM,
            limits=Limits(cpu_ms=5000, calls=calls),
            durable_objects=[SLEEPY],
        )
        print(json.dumps("ready"), flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            method, *arguments = json.loads(line)
            print(json.dumps(await worker.call(method, *arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
