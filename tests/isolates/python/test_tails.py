"""What a `tail` handler in Python is given."""

from __future__ import annotations

import asyncio
from typing import Any

from pyworkerd.runtime import Runtime
from pyworkerd_isolates import wire

SOURCE = """
from workers import WorkerEntrypoint

seen = []

class Default(WorkerEntrypoint):
    async def tail(self, events, env, ctx):
        for event in events:
            seen.append([event.scriptName, event["outcome"], [log.message[0] for log in event.logs]])
            if "request" in event.event:
                request = event.event.request
                whole = request.getUnredacted()
                seen.append([request.url, dict(request.headers), whole.url, dict(whole.headers), list(request)])

    async def told(self):
        return seen
"""
REQUEST = {
    "method": "GET",
    "url": "http://x/REDACTED",
    "headers": {"accept": "a", "cookie": "REDACTED"},
    "unredacted": {"url": "http://x/1", "headers": {"cookie": "c"}},
}
ITEMS = [
    {"scriptName": "a", "outcome": "ok", "logs": [{"message": ["hi"]}], "event": {"request": REQUEST}},
    {"scriptName": "b", "outcome": "exception", "logs": [], "event": {"cron": "* * * * *"}},
]


def test_attributes_and_keys_and_all_of_a_request_for_whoever_asks() -> None:
    async def main() -> Any:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": SOURCE})
            await worker.service.handle("tail", wire.dump_value(ITEMS))
            return await worker.call("told")

    assert asyncio.run(main()) == [
        ["a", "ok", ["hi"]],
        [
            "http://x/REDACTED", {"accept": "a", "cookie": "REDACTED"},
            "http://x/1", {"accept": "a", "cookie": "c"}, ["method", "url", "headers"],
        ],
        ["b", "exception", []],
    ]  # fmt: skip
