"""A call that is computed, and paid for with the CPU time of the invocation that asked.

Where it is computed depends on what it costs. The quickest cost less than being handed to a thread, and are done in the
turn in which they are asked for, whose time is charged and bounded as that of all effects (`live.PERFORM_S`). Others
take turns with the steps of all workers, on the same threads. What takes long cannot be cut into slices, so it has a
thread of its own (`Worker.compute`), and is begun only where its invocation has that much time left.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd.errors import ExceededCpu, InternalError

from .waiting import Waiting

if TYPE_CHECKING:
    from pyworkerd_isolates.protocol import Call

    from .channels import Computing
    from .invocation import Invocation

QUICK_MS: Final = 0.1
"""What is done at once: a tenth of what a step may take on the loop's thread (`placement`)."""
LONG_MS: Final = 8.0
"""What takes longer has a thread of its own: two slices of a step."""


class _Told(Protocol):
    """Whoever hears of the answer: `Calls`."""

    def returned(self, waiting: Waiting, value: bytes) -> None:
        """It has a result."""

    def replied(self, waiting: Waiting, body: None, answer: None, error: Exception | None) -> None:
        """It has failed."""

    def over(self, waiting: Waiting) -> object:
        """It has ended, and nobody waits for an answer."""


def check_cost(invocation: Invocation, cost_ms: float) -> None:
    """Raises `ExceededCpu` for what takes long where the invocation has less CPU time left than that, and for anything
    where it has none: what it asked for in one step may be a thousand little things.
    """
    left_ms = invocation.cpu_left_ms
    if left_ms <= 0.0 or cost_ms > max(left_ms, LONG_MS):
        budget = invocation.budget
        raise ExceededCpu(
            f"this takes about {max(cost_ms, 1.0):.0f} ms of CPU time, and {max(left_ms, 0.0):.0f} of "
            f"{budget.cpu_ms:g} are left ({budget.limits}cpu_ms)"
        )


class Computation(Waiting):
    """One of them: a job of `threads.Threads`, and what `Calls` can cancel."""

    __slots__ = (
        "_answer",
        "_arguments",
        "_calls",
        "_cancelled",
        "_computing",
        "_cost_ms",
        "_error",
        "_method",
        "_used_ms",
    )

    def __init__(
        self,
        calls: _Told,
        computing: Computing,
        effect: Call,
        invocation: Invocation,
        cost_ms: float,
        size: int = 0,
    ) -> None:
        super().__init__(effect, invocation, size)
        self._calls, self._computing = calls, computing
        self._method, self._arguments = effect.method, effect.arguments
        self._cost_ms = cost_ms
        self._cancelled = False
        self._answer: bytes | None = None
        self._error: Exception | None = None
        self._used_ms = 0.0

    def go_on(self, slice_ms: float) -> bool:
        """See `threads.Slices`: all of it at once. It raises nothing, not even what the library panics with."""
        del slice_ms
        if self._cancelled:
            return True
        began = None
        try:
            # What else the invocation asked for may have used what was left.
            check_cost(self.invocation, self._cost_ms)
            self._computing.prepare()
            began = thread_time()
            self._answer = self._computing.compute(self._method, self._arguments)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._error = error
        except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
            self._error = InternalError("a library failed at what was to be computed")
            self._error.__cause__ = error
        if began is not None:
            self._used_ms = (thread_time() - began) * 1e3
        return True

    def at_once(self) -> None:
        """Do it in this turn, which is charged for it."""
        self.go_on(0.0)
        self._used_ms = 0.0
        self.over()

    def over(self) -> None:
        """See `threads.Slices`."""
        invocation = self.invocation
        invocation.cpu_left_ms = max(invocation.cpu_left_ms - self._used_ms, 0.0)
        if self._cancelled:
            self._calls.over(self)
        elif self._answer is not None:
            self._calls.returned(self, self._answer)
        else:
            self._calls.replied(self, None, None, self._error)

    def cancel(self) -> None:
        """Nobody waits for it any more: it does not begin, or its answer is dropped."""
        self._cancelled = True
