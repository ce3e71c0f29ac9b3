"""Arguments that the host itself reads, where that takes long: on the threads of long steps, in the worker's turns, and
paid for with the CPU time of the invocation that asked. Only then their capability is asked.

What is short is read by the capability, in the turn in which it is asked, which is charged for that.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Final, Protocol

from pyworkerd_isolates import cpu_clock

from pyworkerd.bindings.arguments import Read, read_apart

from .waiting import Waiting

if TYPE_CHECKING:
    from pyworkerd_isolates.protocol import Call, Fetch

    from .channels import Capability
    from .invocation import Invocation

BYTE_MS: Final = 0.00008
"""CPU time that a byte takes at most, numbers of one digit; byte strings are not read."""


class _Told(Protocol):
    """Whoever goes on with it: `Calls`."""

    def read(self, reading: Waiting, capability: Capability, arguments: bytes) -> None:
        """These are its arguments."""

    def replied(self, waiting: Waiting, body: None, answer: None, error: Exception | None) -> None:
        """They cannot be read."""

    def over(self, waiting: Waiting) -> object:
        """Nobody waits for an answer."""


class Reading(Waiting):
    """The arguments of one call: a job of `threads.Threads`, and what `Calls` can cancel."""

    __slots__ = (
        "_arguments",
        "_calls",
        "_cancelled",
        "_capability",
        "_error",
        "_read",
        "_used_ms",
        "cost_ms",
    )

    def __init__(
        self,
        calls: _Told,
        capability: Capability,
        arguments: bytes,
        effect: Call | Fetch,
        invocation: Invocation,
        size: int,
    ) -> None:
        super().__init__(effect, invocation, size)
        self._calls, self._capability, self._arguments = calls, capability, arguments
        self.cost_ms = int.from_bytes(arguments[:4], "little") * BYTE_MS
        """What it takes at most."""
        self._cancelled = False
        self._read: Read | None = None
        self._error: Exception | None = None
        self._used_ms = 0.0

    def go_on(self, slice_ms: float) -> bool:
        """See `threads.Slices`: all of it at once."""
        del slice_ms
        if self._cancelled:
            return True
        invocation = self.invocation
        # Other arguments, of the same step perhaps, may have used what was left.
        if invocation.cpu_left_ms <= 0.0:
            self._error = invocation.budget.too_much_cpu()
            return True
        began = thread_time()
        try:
            self._read = read_apart(self._arguments)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._error = error
        self._used_ms = (thread_time() - began) * 1e3
        return True

    def over(self) -> None:
        """See `threads.Slices`. What else its capability does with them before it waits is paid for as well."""
        began = cpu_clock.begin()
        if self._cancelled:
            self._calls.over(self)
        elif self._read is not None:
            self._calls.read(self, self._capability, self._read)
        else:
            self._calls.replied(self, None, None, self._error)
        invocation = self.invocation
        used_ms = self._used_ms + cpu_clock.used_ns(began) / 1e6
        invocation.cpu_left_ms = max(invocation.cpu_left_ms - used_ms, 0.0)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._cancelled = True
