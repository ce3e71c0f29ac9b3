"""`pyworkerd queue`: how queues stand, what waits in them, and a message by hand, also while the server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyworkerd_isolates import wire

from pyworkerd.problems import Refusal
from pyworkerd.queues.rules import drafts

from .stores import add_config, say, with_runtime

if TYPE_CHECKING:
    import argparse

    from pyworkerd.queues.store import Message
    from pyworkerd.runtime import Runtime


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd queue send config.toml jobs '{}'"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print every queue, how much waits, and since when")
    peeking = verbs.add_parser("peek", help="print messages without taking them")
    sending = verbs.add_parser("send", help="send a message")
    purging = verbs.add_parser("purge", help="forget all messages of a queue")
    for sub in (listing, peeking, sending, purging):
        add_config(sub)
    for sub in (peeking, sending, purging):
        sub.add_argument("queue", metavar="QUEUE", help="its name in [[queues]]")
    peeking.add_argument("--count", type=int, default=10, metavar="N", help="how many (default 10)")
    sending.add_argument("body", metavar="BODY", help="JSON, or text with --text")
    sending.add_argument("--text", action="store_true", help="the body is text as it is")
    sending.add_argument(
        "--delay", type=float, default=None, metavar="SECONDS", help="before it is delivered"
    )


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""

    async def work(runtime: Runtime) -> int:
        status: int = await _VERBS[options.verb](runtime, options)
        return status

    return with_runtime(options.config, work)


async def _list(runtime: Runtime, options: argparse.Namespace) -> int:
    for queue in runtime.config.queues:
        backlog = await runtime.sender(queue.name).backlog()
        oldest = None if backlog.oldest is None else _moment(backlog.oldest)
        row = {"name": queue.name, "messages": backlog.messages, "bytes": backlog.size, "oldest": oldest}
        since = "" if oldest is None else f", the oldest of {oldest}"
        say(
            row,
            f"{queue.name}: {backlog.messages} messages, {backlog.size} bytes{since}",
            as_json=options.json,
        )
    return 0


async def _peek(runtime: Runtime, options: argparse.Namespace) -> int:
    for message in await runtime.sender(options.queue).store.peek(options.count):
        body = _shown(message)
        row = {
            "id": f"{message.number:032x}", "sent": _moment(message.sent), "attempts": message.attempts,
            "content_type": message.format, "body": body,
        }  # fmt: skip
        say(
            row,
            f"{row['id']}  {row['sent']}  delivered {message.attempts} times  {body}",
            as_json=options.json,
        )
    return 0


async def _send(runtime: Runtime, options: argparse.Namespace) -> int:
    try:
        kind, body = ("text", options.body) if options.text else ("json", json.loads(options.body))
    except ValueError as error:
        raise Refusal.of(f"the body is not JSON ({error}): write it as JSON, or add --text") from None
    sender = runtime.sender(options.queue)
    await sender.send(drafts([[wire.dump_value(body), kind, options.delay]], "send", 0.0))
    say({"ok": True}, "ok", as_json=options.json)
    return 0


async def _purge(runtime: Runtime, options: argparse.Namespace) -> int:
    gone = await runtime.sender(options.queue).store.purge()
    say({"ok": True, "messages": gone}, f"{gone} messages are forgotten", as_json=options.json)
    return 0


_VERBS: dict[str, Any] = {"list": _list, "peek": _peek, "send": _send, "purge": _purge}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _shown(message: Message) -> str:
    """A body as one line of JSON; what JSON cannot say as Python would write it."""
    try:
        body = wire.load_value(message.body)
    except wire.WireError:
        return f"({len(message.body)} bytes that cannot be read)"
    return json.dumps(body, default=repr)
