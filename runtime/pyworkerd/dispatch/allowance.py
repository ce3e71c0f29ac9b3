"""Budgets of invocations that live as long as a WebSocket: renewed, where others have theirs once. No I/O.

Workers renews CPU time with each message. A worker that only sends would never get one, so time renews it as well.

What crosses between two guests comes from nobody outside: workers that send each other messages would make calls and
subrequests for ever, on behalf of one request. So these are renewed only by sockets that lead outside, and for the
guests within where such a one has been heard of since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .invocation import Invocation

RENEW_S: Final = 1.0
"""An invocation that gets no message has its CPU time and subrequests anew after so long."""
LOG_S: Final = 60.0
"""The same for its log, which messages do not renew."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the invocations of one worker get each time."""

    cpu_ms: float
    subrequests: int
    log_bytes: int

    def renew(
        self, invocation: Invocation, now: float, *, message: bool = False, inside: bool = False
    ) -> None:
        """Renew what is due at `now` (loop time), or because of a message. One that passed a limit gets nothing.
        `inside` is whether another guest has the other end of the socket that this is about."""
        if invocation.winding_up:
            return
        if message or now - invocation.renewed >= RENEW_S:
            invocation.renewed = now
            invocation.cpu_left_ms = max(invocation.cpu_left_ms, self.cpu_ms)
            invocation.shared_left_ms = max(invocation.shared_left_ms, self.cpu_ms)
            root = invocation.scope.root
            if not inside:
                root.calls = 0
                root.renewals += 1
            if invocation.renewals != root.renewals:
                invocation.renewals = root.renewals
                invocation.subrequests_left = max(invocation.subrequests_left, self.subrequests)
        if now - invocation.log_renewed >= LOG_S:
            invocation.log_renewed = now
            invocation.log_left = self.log_bytes
