"""What is done about each effect: a table, and all that a guest can cause.

Whatever an effect names is looked up in the tables of the isolate that gave it out (rule 1 of `live`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates.protocol import (
    Abandon,
    Abort,
    Broken,
    Call,
    Crash,
    Data,
    Done,
    Drop,
    Fail,
    Fetch,
    Log,
    Pull,
    Replied,
    Respond,
    Result,
    Return,
    SocketClose,
    SocketCredit,
    SocketSend,
    Stop,
    Upgrade,
)

from .answers import replied, respond, result, returned
from .giving_up import give_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from .live import Live


def _call(live: Live, effect: Call | Fetch) -> None:
    live.calls.begin(effect, live.invocations.get(effect.invocation))


PERFORM: Final[dict[type, Callable[[Live, Any], None]]] = {
    Abandon: lambda live, effect: live.calls.abandon(effect),
    Abort: give_up,
    Broken: lambda live, effect: live.bodies.broken(effect),
    Call: _call,
    Crash: lambda live, effect: live.answers.crash(effect),
    Data: lambda live, effect: live.bodies.data(effect),
    Done: lambda live, effect: live.done(effect),
    Drop: lambda live, effect: live.stubs.drop(effect),
    Fail: lambda live, effect: live.answers.failed(effect),
    Fetch: _call,
    Log: lambda live, effect: live.answers.log(effect),
    Pull: lambda live, effect: live.bodies.pull(effect),
    Replied: replied,
    Respond: respond,
    Result: result,
    Return: returned,
    SocketClose: lambda live, effect: live.sockets.closed(effect),
    SocketCredit: lambda live, effect: live.sockets.credit(effect),
    SocketSend: lambda live, effect: live.sockets.sent(effect),
    Stop: lambda live, effect: live.bodies.stop(effect),
    Upgrade: lambda live, effect: live.answers.upgrade(effect),
}
"""But for `Commit`, for which everything after it waits: see `live`."""
ENDINGS: Final = frozenset((Done, Replied, Result))
"""After which nothing is left of an invocation."""
