"""What a guest is told of an invocation that begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .invocation import CallWork, HandlerWork, LentWork

if TYPE_CHECKING:
    from pyworkerd_isolates.protocol import Events

    from .invocation import Invocation
    from .live import Live


def begin(live: Live, invocation: Invocation, events: Events) -> None:
    """It begins with the step that these events are for, in this isolate."""
    invocation.begun = True
    number, work = invocation.id, invocation.work
    target = work.target
    if isinstance(work, CallWork):
        stubs = live.stubs.receive(work.arguments, invocation)
        if type(work) is CallWork:
            events.rpc(number, target.entrypoint, target.props, work.method, work.arguments, stubs)
        elif type(work) is LentWork:
            events.invoke(number, work.loan, work.reads, work.method, work.arguments, stubs)
        else:
            assert type(work) is HandlerWork
            events.handle(number, target.entrypoint, target.props, work.method, work.arguments)
        return
    request = work.request
    body = live.bodies.inbound(request.body, invocation) if request.body.length != 0 else None
    events.fetch(
        number,
        target.entrypoint,
        target.props,
        request.method,
        request.url,
        invocation.scope.headers + request.headers,
        body,
    )
