"""What a worker looks at before anything that it is asked is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates import wire

from pyworkerd.observe.scope import Scope, begin, scope

if TYPE_CHECKING:
    from pyworkerd.messages import Headers


def scope_of(headers: Headers) -> tuple[Scope, Headers]:
    """The request on whose behalf this is asked for; where there is none yet, this is it."""
    known = scope.get()
    return begin(headers) if known is None else (known, headers)


def check_props(props: object) -> None:
    """Raises TypeError for what cannot be sent: better here than in the step that others share."""
    try:
        wire.encode(props, ())
    except (TypeError, ValueError) as error:
        raise TypeError(f"ctx.props must be JSON values: {error}") from None
