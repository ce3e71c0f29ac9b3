"""What a message may be, and in what words the platform refuses others. Pure.

Limits: Cloudflare, "Queues: limits"; texts as miniflare's broker has them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pyworkerd.bindings.arguments import bounded, type_error
from pyworkerd.errors import BadCall, WorkerException

MAX_MESSAGE: Final = 128_000
"""Bytes."""
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 256_000
MAX_DELAY_S: Final = 86_400
FORMATS: Final = frozenset(("json", "text", "bytes", "v8"))
RETENTION_S: Final = 4 * 86_400
"""How long a message waits for a consumer (Cloudflare's default; at most 14 days there)."""


class Draft(NamedTuple):
    """A message that is sent."""

    body: bytes
    """An encoded value."""
    format: str
    delay_s: float


def drafts(messages: Any, operation: str, delay_s: float) -> list[Draft]:
    """What the guest sends, checked: a list of [body, content type, delay]. `delay_s` is that of the queue.

    Raises `BadCall` or a TypeError of the guest's, in the platform's words.
    """
    if not isinstance(messages, list) or not messages:
        raise _refused(operation, "there is nothing to send")
    if len(messages) > MAX_BATCH:
        raise _refused(operation, f"message count of {len(messages)} exceeds limit of {MAX_BATCH}")
    found = [_draft(message, operation, delay_s) for message in messages]
    total = sum(len(draft.body) for draft in found)
    if total > MAX_BATCH_BYTES:
        raise _refused(operation, f"total message size of {total} bytes exceeds limit of {MAX_BATCH_BYTES}")
    return found


def _draft(message: Any, operation: str, delay_s: float) -> Draft:
    if not isinstance(message, list) or len(message) != 3 or not isinstance(message[0], bytes):
        raise type_error("a message is [body, content type, delay]")
    body, kind, delay = message
    if type(kind) is not str or kind not in FORMATS:
        raise type_error(
            f"Unsupported queue message content type: {str(kind)[:40]}; there are json, text, bytes and v8"
        )
    if len(body) > MAX_MESSAGE:
        raise _refused(operation, f"message length of {len(body)} bytes exceeds limit of {MAX_MESSAGE}")
    bounded(body, "the message")  # its reader may be another tenant
    return Draft(body, kind, delay_s if delay is None else checked_delay(delay, operation))


def checked_delay(delay: Any, operation: str) -> float:
    """Seconds. Raises `BadCall` for what is no delay."""
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= MAX_DELAY_S:
        raise _refused(operation, f"delaySeconds must be between 0 and {MAX_DELAY_S}")
    return float(delay)


def _refused(operation: str, why: str) -> BadCall | WorkerException:
    return BadCall(f"Queue {operation} failed: {why}")
