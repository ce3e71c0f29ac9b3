"""What a consumer does next, and what becomes of a batch that was handled. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .rules import MAX_BATCH_BYTES, MAX_DELAY_S
from .store import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd_config.model import Queue

    from .store import Message, Outlook

LOOK_S: Final = 5.0
"""Longest pause: what another process has sent and not taken before it ended is found then."""


def pause(queue: Queue, outlook: Outlook, now: float) -> float:
    """Seconds until a batch is to be taken: none if one is full, or its first message has waited for long enough."""
    if outlook.batches >= queue.max_concurrency:
        return LOOK_S
    if outlook.ready >= queue.max_batch_size or outlook.size >= MAX_BATCH_BYTES:
        return 0.0
    moments = [LOOK_S]
    if outlook.since is not None:
        moments.append(outlook.since + queue.max_batch_timeout - now)
    if outlook.later is not None:
        moments.append(outlook.later - now)
    return max(0.0, min(moments))


class Verdict(NamedTuple):
    """What becomes of a batch."""

    done: list[Message]
    retries: list[Retry]
    dead: list[Message]
    """What has failed too often."""


def judge(queue: Queue, messages: Sequence[Message], outcome: Mapping[str, Any] | None) -> Verdict:
    """`outcome` is what the guest answered: None if it did not, and nothing of it is believed unchecked.

    Without a word about a message it is done if the handler returned, and comes again if it failed.
    """
    outcome = outcome or {"failed": True}
    acknowledged, retried = _numbers(outcome.get("acks")), _delays(outcome.get("retries"))
    word = outcome.get("all")
    all_again, delay_of_all = False, None
    if isinstance(word, list) and len(word) == 1:
        all_again, delay_of_all = True, _delay(word[0])
    failed = word != "ack" and outcome.get("failed") is True
    verdict = Verdict([], [], [])
    for message in messages:
        number = message.number
        if number in acknowledged or not (number in retried or all_again or failed):
            verdict.done.append(message)
        elif message.attempts > queue.max_retries:
            verdict.dead.append(message)
        else:
            delay = retried.get(number, delay_of_all)
            verdict.retries.append(Retry(message, float(queue.retry_delay) if delay is None else delay))
    return verdict


def exhume(verdict: Verdict, delay_s: float) -> Verdict:
    """The same where nobody takes the dead: they come again."""
    again = [Retry(message, delay_s) for message in verdict.dead]
    return Verdict(verdict.done, [*verdict.retries, *again], [])


def _numbers(value: Any) -> frozenset[int]:
    return frozenset(n for n in value if type(n) is int) if isinstance(value, list) else frozenset()


def _delays(value: Any) -> dict[int, float | None]:
    pairs = value if isinstance(value, list) else ()
    return {p[0]: _delay(p[1]) for p in pairs if isinstance(p, list) and len(p) == 2 and type(p[0]) is int}


def _delay(value: Any) -> float | None:
    if type(value) not in (int, float) or not 0 <= value <= MAX_DELAY_S:
        return None
    return float(value)
