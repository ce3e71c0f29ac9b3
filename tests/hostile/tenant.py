"""A tenant who tries to break out, break down, or take others along. Each mode is one case of `test_over_http.py`."""

import asyncio
import json
import os
import re
import sys

import _wire
from _pyworkerd import frames, handlers, invocation, outbox
from workers import Response, WorkerEntrypoint


class Bomb:
    def __del__(self):
        while True:
            pass


def number():
    return invocation.current().number


def forge(*effects):
    """Write effects past the SDK."""
    outbox.effects.extend(effects)
    return Response("forged")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        mode = request.url.rsplit("/", 1)[1]
        return await getattr(self, f"mode_{mode}")()

    async def mode_wait(self):
        return Response(await self.env.HOLD())

    async def mode_loop(self):
        while True:
            pass

    async def mode_loop_in_del(self):
        Bomb()

    async def mode_loop_in_finally(self):
        try:
            await asyncio.sleep(60)
        finally:
            while True:
                pass

    async def mode_busy_wait(self):
        while True:
            await asyncio.sleep(0)

    async def mode_list_bomb(self):
        items = []
        while True:
            items.append([0] * 1_000_000)

    async def mode_bytes_bomb(self):
        return Response(str(len(b"x" * 10**9)))

    async def mode_string_bomb(self):
        text = "x"
        while True:
            text = "".join([text, text])

    async def mode_string_bomb_in_place(self):
        text = "x"
        while True:
            text += text

    async def mode_recursion(self):
        def down():
            return down()

        return down()

    async def mode_nested_json(self):
        return Response(str(json.loads("[" * 1_000_000)))

    async def mode_regex(self):
        return Response(str(re.match("(a+)+$", "a" * 40 + "b")))

    async def mode_million_effects(self):
        await asyncio.gather(*(self.env.SLOW(index) for index in range(1_000_000)))

    async def mode_many_calls(self):
        await asyncio.gather(*(self.env.SLOW(index) for index in range(1200)))

    async def mode_gigabyte(self):
        return Response("x" * 10**9)

    async def mode_log_flood(self):
        for _ in range(2000):
            print("flood " * 20)
        return Response("flooded")

    async def mode_log_more_than_allowed(self):
        return forge(*[["log", number(), "info", "forged", "y" * 10_000]] * 100)

    async def mode_log_flood_forged(self):
        return forge(*[["log", number(), "info", "x", "y" * 60_000]] * 9000)

    async def mode_unknown_effect(self):
        return forge(["reboot", 1])

    async def mode_wrong_types(self):
        return forge(["respond", "one", [], {}, 7])

    async def mode_wrong_arity(self):
        return forge(["respond"])

    async def mode_huge_number(self):
        return forge(["done", 10**400])

    async def mode_no_such_blob(self):
        return forge(["return", number(), 10**6])

    async def mode_capability_never_given(self):
        return forge(["call", 77, number(), 4321, "steal", outbox.blob(b"")])

    async def mode_negative_capability(self):
        return forge(["call", 77, number(), -1, "steal", outbox.blob(b"")])

    async def mode_other_invocation(self):
        return forge(["respond", number() + 1, 200, [], None])

    async def mode_answer_twice(self):
        return forge(["respond", number(), 200, [], None])

    async def mode_stream_twice(self):
        return forge(
            ["respond", number(), 200, [], ["s", 5, None]], ["respond", number(), 200, [], ["s", 5, None]]
        )

    async def mode_foreign_body(self):
        return forge(["respond", number(), 200, [], ["p", 999]])

    async def mode_credit_fraud(self):
        return forge(["pull", 1, 10**12])

    async def mode_too_much_of_a_body(self):
        effects = [["respond", number(), 200, [], ["s", 99, None]]]
        effects += [["data", 99, outbox.blob(b"x" * 65_536), False] for _ in range(64)]
        return forge(*effects)

    async def mode_header_injection(self):
        return forge(["respond", number(), 200, [["x-a", "b\r\nx-injected: 1"]], None])

    async def mode_header_null(self):
        return forge(["respond", number(), 200, [["x-a", "b\0c"]], None])

    async def mode_header_name(self):
        return forge(["respond", number(), 200, [["x a\r\nx-injected", "1"]], None])

    async def mode_many_headers(self):
        return forge(["respond", number(), 200, [["x", "y"]] * 10_000, None])

    async def mode_status_zero(self):
        return forge(["respond", number(), 0, [], None])

    async def mode_switching_protocols(self):
        return forge(["respond", number(), 101, [], None])

    async def again_and_again(self, *effects):
        """The same step for ever, written once: it costs its author nothing."""
        frame = _wire.encode([[0.0, [number()]], effects], [b""])
        frames.encode = lambda *_: frame
        await asyncio.sleep(60)

    async def mode_calls_taken_back(self):
        call = ["call", 7001, number(), 1, "call", 0]
        await self.again_and_again(*[call, ["abandon", 7001]] * 400)

    async def mode_more_calls_taken_back(self):
        call = ["call", 7001, number(), 1, "call", 0]
        await self.again_and_again(*[call, ["abandon", 7001]] * 5000)

    async def mode_calls_that_are_refused(self):
        await self.again_and_again(*[["call", n, number(), 0, "x", 0] for n in range(7000, 7500)])

    async def mode_empty_logs(self):
        await self.again_and_again(*[["log", number(), "info", "x", ""]] * 9999)

    async def mode_broken_frame(self):
        frames.encode = lambda *_: b"\xff\xff\xff\x7fgarbage"
        return Response("x", headers={"in": "JSON"})

    async def mode_truncated_frame(self):
        encode = frames.encode
        frames.encode = lambda *arguments: encode(*arguments)[:-1]
        return Response("x", headers={"in": "JSON"})

    async def mode_deep_frame(self):
        body = ("[[]," + "[" * 100_000 + "]" * 100_000 + "]").encode()
        frames.encode = lambda *_: len(body).to_bytes(4, "little") + body
        return Response("x", headers={"in": "JSON"})

    async def mode_wake_of_no_time(self):
        handlers.loop.due = lambda _: "soon"
        handlers.loop.call_later(60, print)  # or it would not be asked
        return Response("x")

    async def mode_wake_of_nobody(self):
        handlers.loop.due = lambda _: [0.0, ["me"]]
        handlers.loop.call_later(60, print)
        return Response("x")

    async def mode_endless_wakes(self):
        wake = [0.0, [number()]]
        handlers.loop.due = lambda _: wake
        await asyncio.sleep(60)

    async def mode_exit(self):
        sys.exit(3)

    async def mode_os_exit(self):
        os._exit(3)

    async def mode_abort(self):
        os.abort()

    async def mode_raise_base(self):
        raise BaseException("everything")  # noqa: TRY002

    async def mode_hostile_str(self):
        class Strange(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        raise Strange

    async def mode_environment(self):
        return Response(json.dumps(dict(os.environ)) + str(sys.argv))
