"""What to do about the processes as they are: a pure function, which the supervisor asks once per second and performs.

Rule 1: as long as nobody serves, one process at a time is started: it finds the mistakes, and builds the images.
Rule 2: whoever is asked to leave is replaced first, unless it does not serve anyway.
Rule 3: who does not answer is killed; there is nothing that it could still finish.
Rule 4: whoever ends again and again soon after it was started is started less and less often. But where nobody serves,
        and they do once they are started, clients wait no longer than they must.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAUSES_S: Final = (0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before the next start, by how many processes in a row ended early; the last one holds for all further ones. A few
at once are no sign yet: the memory was short, or somebody killed them all."""
OUTAGE_S: Final = 0.5
"""The longest pause while nobody serves, if the last one did: something ends them, a request perhaps that brings down
the process. To start one takes a tenth of a second, and the longer pauses are for those that never get so far."""
EARLY_S: Final = 5.0
"""A process that ends before it has served for so long ended early."""
HOPELESS: Final = 5
"""So many in a row ended before they served at all, and nobody else serves: the supervisor gives up."""


class State(Enum):
    """Of a serving process, in the order in which it goes through them."""

    STARTING = "starting"
    """It deploys."""
    SERVING = "serving"
    DRAINING = "draining"
    """It accepts nothing more and finishes what runs."""


class Process(NamedTuple):
    """One process as the policy sees it."""

    number: int
    state: State
    silent_s: float
    """Since it was last heard of, in the supervisor's own turns: a machine that slept accuses nobody."""
    memory: int
    """Private bytes."""
    overdue: bool = False
    """It was asked to end, and should have by now."""


class Policy(NamedTuple):
    """What is wanted."""

    wanted: int
    """0: the end has come."""
    hang_s: float
    replace_bytes: int


class Failures(NamedTuple):
    """Processes that ended early, in a row."""

    early: int = 0
    unborn: int = 0
    """Those of them that never served."""
    last_at: float = 0.0

    def ended(self, now: float, served_s: float | None) -> Failures:
        """One more has ended that nobody had asked to; `served_s` is None if it never served."""
        if served_s is None:
            return Failures(self.early + 1, self.unborn + 1, now)
        return Failures(self.early + 1, 0, now) if served_s < EARLY_S else Failures()

    def next_at(self, *, outage: bool) -> float:
        """When the next start may be. `outage`: nobody serves."""
        pause = PAUSES_S[min(self.early, len(PAUSES_S) - 1)]
        return self.last_at + (min(pause, OUTAGE_S) if outage and not self.unborn else pause)


@dataclass(frozen=True, slots=True)
class Start:
    """Start one more process."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Ask a process to drain and end."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process now."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody serves, and nobody will."""


Action: TypeAlias = Start | Leave | Kill | GiveUp


_STOPPING: Final = "the server stops"


def plan(policy: Policy, processes: Sequence[Process], failures: Failures, now: float) -> list[Action]:
    """What to do now."""
    actions: list[Action] = [*_kills(policy, processes)]
    doomed = {action.number for action in actions if isinstance(action, Kill)}
    alive = [process for process in processes if process.number not in doomed]
    serving = [process for process in alive if process.state is State.SERVING]
    starting = sum(process.state is State.STARTING for process in alive)
    if policy.wanted == 0:
        return [*actions, *(Leave(p.number, _STOPPING) for p in alive if p.state is not State.DRAINING)]
    if not serving and not starting and failures.unborn >= HOPELESS:
        return [*actions, GiveUp()]
    too_large = _too_large(policy, serving)
    missing = policy.wanted + (too_large is not None) - len(serving) - starting
    if not serving:
        missing = min(missing, 1 - starting)  # rule 1
    if now >= failures.next_at(outage=not serving):
        actions += [Start()] * max(missing, 0)
    excess = len(serving) - policy.wanted
    if excess > 0:
        actions += _leave(serving, too_large, excess)
    return actions


def _kills(policy: Policy, processes: Iterable[Process]) -> list[Kill]:
    kills = []
    for process in processes:
        if process.overdue:
            kills.append(Kill(process.number, "it did not end in the time that it was given"))
        elif process.silent_s >= policy.hang_s:
            kills.append(Kill(process.number, f"its event loop has not turned for {policy.hang_s:g} s"))
    return kills


def _too_large(policy: Policy, serving: Iterable[Process]) -> Process | None:
    """The largest of those that have outgrown their budget: one at a time is replaced."""
    large = [process for process in serving if process.memory > policy.replace_bytes]
    return max(large, key=lambda process: process.memory, default=None)


def _leave(serving: Sequence[Process], too_large: Process | None, excess: int) -> list[Leave]:
    leaving = []
    if too_large is not None:
        leaving.append(Leave(too_large.number, f"it has {too_large.memory >> 20} MiB of its own"))
    for process in sorted(serving, reverse=True):  # the youngest have the least to lose
        if len(leaving) < excess and process is not too_large:
            leaving.append(Leave(process.number, "there are more than are wanted"))
    return leaving[:excess]
