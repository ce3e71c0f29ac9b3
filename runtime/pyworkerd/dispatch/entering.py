"""What a worker looks at before anything that it is asked is queued, and where an answer goes that nobody wants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyworkerd_isolates import wire

from pyworkerd.messages import Body, Response
from pyworkerd.observe.scope import Scope, begin, scope
from pyworkerd.services.stubs import release

from .streams import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.errors import PyworkerdError
    from pyworkerd.messages import Headers, Request


def scope_of(headers: Headers) -> tuple[Scope, Headers]:
    """The request on whose behalf this is asked for; where there is none yet, this is it."""
    known = scope.get()
    return begin(headers) if known is None else (known, headers)


def bounded_request(request: Request, most: int, too_large: Callable[[], PyworkerdError]) -> Request:
    """The same request, with a body of so many bytes at most: raises at once where its length is known."""
    length = request.body.length
    if length is None:
        return replace(request, body=Body(chunks=Bounded(request.body, most, too_large)))
    if length > most:
        raise too_large()
    return request


async def dismiss(answer: Response | bytes) -> None:
    """Nobody reads an answer any more."""
    if isinstance(answer, Response):
        await answer.aclose()
    else:
        release(answer)


def check_props(props: object) -> None:
    """Raises TypeError for what cannot be sent: better here than in the step that others share."""
    try:
        wire.encode(props, ())
    except (TypeError, ValueError) as error:
        raise TypeError(f"ctx.props must be JSON values: {error}") from None
