"""Queues: a queue on `env` to send to, and what a `queue` handler is given."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json
from datetime import UTC, datetime

import _wire

from .capability import Capability
from .rpc import JsDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONTENT_TYPES = ("json", "text", "bytes", "v8")


class Queue(Capability):
    """A queue: `send`, `send_batch`, `metrics`. Options as a dictionary or by name."""

    __slots__ = ()

    async def send(self, body, options=None, /, **named):
        """Keep one message. Options: `content_type` (json, text, bytes, v8), `delay_seconds`."""
        options = _options(options, named)
        message = _message(body, options.get("content_type"), options.get("delay_seconds"))
        await self._call("send", [message])

    async def send_batch(self, messages, options=None, /, **named):
        """Keep several, all or none: each a dictionary with `body`, and options of its own."""
        delay = _options(options, named).get("delay_seconds")
        drafts = []
        for message in messages:
            own = _options(message, {})
            if "body" not in own:
                raise TypeError("each message of a batch is a dictionary with a body")
            drafts.append(_message(own["body"], own.get("content_type"), own.get("delay_seconds", delay)))
        await self._call("sendBatch", drafts)

    sendBatch = send_batch

    async def metrics(self):
        """What waits: `backlogCount`, `backlogBytes`, `oldestMessageTimestamp` (a datetime, or None)."""
        count, size, oldest = await self._call("metrics")
        since = None if oldest is None else datetime.fromtimestamp(oldest, UTC)
        return JsDict(backlogCount=count, backlogBytes=size, oldestMessageTimestamp=since)


_NAMES = {"contentType": "content_type", "delaySeconds": "delay_seconds"}


def _options(given, named):
    if given is not None and not isinstance(given, dict):
        raise TypeError(f"options are a dictionary, not {type(given).__name__}")
    both = {**(given or {}), **named}
    return {
        _NAMES.get(name, name): value for name, value in both.items() if value is not None or name == "body"
    }


def _message(body, kind, delay):
    kind = kind or "json"
    if kind == "text" and not isinstance(body, str):
        raise TypeError(f'a body of the content type "text" has to be str, not {type(body).__name__}')
    if kind == "bytes":
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise TypeError(f'a body of the content type "bytes" has to be bytes, not {type(body).__name__}')
        body = bytes(body)
    if kind == "json":
        body = json.loads(json.dumps(body))  # what JSON cannot say is refused here, where it is sent
    # Plain values only: whoever reads it is another isolate, at another time.
    return [_wire.dump_value(body), kind, delay]


class Message:
    """One message of a batch. The first word about it counts: `ack` or `retry`."""

    __slots__ = ("_attempts", "_batch", "_body", "_data", "_number", "_timestamp", "_verdict")

    def __init__(
        self, batch: MessageBatch, number: int, timestamp: float, attempts: int, data: bytes
    ) -> None:
        self._batch, self._number, self._timestamp, self._attempts = batch, number, timestamp, attempts
        self._data, self._body = data, None
        self._verdict: Any = None

    @property
    def id(self) -> str:
        """Its number in the queue."""
        return f"{self._number:032x}"

    @property
    def timestamp(self) -> datetime:
        """When it was sent."""
        return datetime.fromtimestamp(self._timestamp / 1000, UTC)

    @property
    def attempts(self) -> int:
        """How often it was delivered, this time included."""
        return self._attempts

    @property
    def body(self) -> Any:
        """What was sent."""
        if self._data is not None:
            self._body, self._data = _wire.load_value(self._data, new_dict=JsDict), None
        return self._body

    def ack(self) -> None:
        """It is done, whatever becomes of the others."""
        if self._verdict is None and self._batch._verdict is None:
            self._verdict = "ack"

    def retry(self, options: Any = None, /, **named: Any) -> None:
        """It shall come again, after `delay_seconds` if that is given."""
        if (self._verdict is None and self._batch._verdict is None) or isinstance(self._verdict, list):
            self._verdict = [_options(options, named).get("delay_seconds")]

    def __repr__(self) -> str:
        return f"<Message {self._number}, attempt {self._attempts}>"


class MessageBatch:
    """What `queue(batch, env, ctx)` gets. If it returns, what it said nothing about is done; if it raises, that comes
    again.
    """

    __slots__ = ("_messages", "_queue", "_verdict")

    def __init__(self, event: dict[str, Any]) -> None:
        self._queue = event["queue"]
        self._verdict: Any = None
        self._messages = [
            Message(self, number, sent, attempts, body)
            for number, sent, attempts, _, body in event["messages"]
        ]

    @property
    def queue(self) -> str:
        """The name of the queue."""
        return self._queue

    @property
    def messages(self) -> list[Message]:
        """Its messages, in the order in which they were sent."""
        return self._messages

    def ack_all(self) -> None:
        """All that nothing was said about are done, also if the handler fails."""
        if self._verdict is None:
            self._verdict = "ack"

    ackAll = ack_all

    def retry_all(self, options: Any = None, /, **named: Any) -> None:
        """All that nothing was said about shall come again, after `delay_seconds` if that is given."""
        if self._verdict is None or isinstance(self._verdict, list):
            self._verdict = [_options(options, named).get("delay_seconds")]

    retryAll = retry_all

    def __repr__(self) -> str:
        return f"<MessageBatch of {len(self._messages)} from {self._queue!r}>"

    def _failed(self) -> dict[str, Any]:
        return self._outcome(failed=True)

    def _outcome(self, failed: bool = False) -> dict[str, Any]:
        said = [(message._number, message._verdict) for message in self._messages]
        return {
            "failed": failed,
            "all": self._verdict,
            "acks": [number for number, verdict in said if verdict == "ack"],
            "retries": [[number, verdict[0]] for number, verdict in said if isinstance(verdict, list)],
        }
