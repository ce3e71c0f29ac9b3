"""Who shares a step, how long it may take, and who pays for it. Pure.

CPU time can only be measured for a whole step. So what an invocation uses in steps of its own is known, and counts
against its limit. What it uses in shared steps is guessed, in equal parts, and no guess ever convicts: an invocation
that has used up its limit in guesses steps by itself from then on, and is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .invocation import FetchWork, HandlerWork

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .fairness import Account
    from .invocation import Invocation
    from .placement import Placement
    from .threads import Slices
    from .worker import Worker

BATCH: Final = 64
"""Invocations that share a step at most, however short they are. Our own figure: with 16 a hello world cost a tenth
more CPU time, with more than 64 no less, tried by hand on one machine of two cores."""
MIN_BUDGET_MS: Final = 2.0
BACKGROUND: Final = 20
"""Our own figures, on two busy cores: a request that computes for 3 ms took 22 at the median while scheduled handlers
of forty others computed, and 310 at the 99th percentile; with so much less weight for those it takes 6 and 32."""


def background_weight(weight: int) -> int:
    """What a worker's steps weigh that no client waits for."""
    return max(weight // BACKGROUND, 1)


def account_of(worker: Worker, chosen: Iterable[Invocation]) -> Account[Slices]:
    """Who pays for a long step of these: the worker's patient account if no client waits for any of them."""
    background = all(type(invocation.work) is HandlerWork for invocation in chosen)
    return worker.patient if background else worker.thread_account


def settle(
    waiting: Collection[int], invocations: Mapping[int, Invocation], placement: Placement
) -> tuple[list[Invocation], list[int], float]:
    """Those of an isolate's invocations that its next step is for, their numbers, and the CPU time that it has in
    milliseconds. `waiting` are the numbers of those that want one, at least one of them. Before any of them has begun.
    """
    if len(waiting) == 1:  # the usual case: what the rest of this says of one
        (number,) = waiting
        only = invocations[number]
        left = only.cpu_left_ms
        return [only], [number], left if left > MIN_BUDGET_MS else MIN_BUDGET_MS
    chosen = choose(map(invocations.__getitem__, waiting), placement.share(BATCH))
    numbers = [invocation.id for invocation in chosen]
    return chosen, numbers, budget_ms(chosen, expendable(invocations.values()))


def choose(waiting: Iterable[Invocation], most: int) -> list[Invocation]:
    """Those that the next step is for. Whoever is to be measured steps alone; nobody is passed over for ever."""
    chosen: list[Invocation] = []
    for invocation in waiting:
        if invocation.shared_left_ms <= 0:  # it shares no step any more, so that what it uses is known
            if not chosen:
                return [invocation]
            continue
        chosen.append(invocation)
        if len(chosen) >= most:
            break
    return chosen


def expendable(invocations: Iterable[Invocation]) -> bool:
    """Whether an isolate that has these can be lost: all of them could be run again elsewhere."""
    for invocation in invocations:
        work = invocation.work
        if invocation.begun or type(work) is not FetchWork:
            if not invocation.can_run_again:
                return False
        elif work.request.body.data is None:  # once it has begun, its body is not in hand any more
            return False
    return True


def budget_ms(chosen: Sequence[Invocation], can_be_lost: bool) -> float:
    """CPU time for a step: what its invocations have left together. If that does not do, one has passed its limit.

    `can_be_lost` is what `expendable` says of its isolate. Then the step gets twice what one invocation has left at
    most, which stops a runaway loop early; who would have needed more shows when they are run again, each alone.
    """
    left = [invocation.cpu_left_ms for invocation in chosen]
    together = min(sum(left), 2 * max(left)) if can_be_lost else sum(left)
    return max(MIN_BUDGET_MS, together)


def charge(chosen: Sequence[Invocation], used_ms: float) -> None:
    """A step took so much CPU time for these."""
    if len(chosen) == 1:
        chosen[0].cpu_left_ms -= used_ms
        return
    part = used_ms / max(len(chosen), 1)
    for invocation in chosen:
        invocation.shared_left_ms -= part
