"""`/api/v1/logs`: what workers said and did lately, and a stream of what they say and do from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from pyworkerd.messages import Body, Response
from pyworkerd.observe.feed import MOST, NAME, Question
from pyworkerd.observe.selection import Selection

from .api import ApiError, Route
from .auth import UNIX
from .entries import ask, in_order

if TYPE_CHECKING:
    from .api import Call

STREAM: Final = "text/event-stream"
_Name = Annotated[str, msgspec.Meta(max_length=NAME)]
_Time = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class LogsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which entries. What is not given selects nothing."""

    worker: _Name = ""
    """The whole name."""
    level: Literal["", "debug", "info", "warning", "error", "critical"] = ""
    """The least one."""
    text: _Name = ""
    """In the message, the source, what began an invocation, or an id; without regard to case."""
    status: Literal["", "ok", "error", "canceled"] = ""
    """How invocations ended. A log entry of level `error` and above is an error, any other is ok."""
    since: _Time = 0.0
    """Seconds since the epoch: nothing older."""
    limit: Annotated[int, msgspec.Meta(ge=0, le=MOST)] = 200
    """The newest of what was; a stream begins with them."""


class Logs(msgspec.Struct):
    """What was, by time."""

    entries: list[dict[str, Any]]
    """Each as one event of the stream."""


def _question(query: LogsQuery) -> tuple[Selection, Question]:
    selection = Selection(query.worker, query.level, query.text, query.status)
    return selection, Question(most=query.limit, since=float(query.since), selection=selection)


async def _logs(call: Call) -> Logs:
    _, question = _question(call.query)
    entries = in_order(await ask(call.server, question))
    return Logs([each.as_object() for each in entries[-question.most :]] if question.most else [])


async def _stream(call: Call) -> Response:
    selection, question = _question(call.query)
    follower = await call.server.live.followers.follow(selection, question, call.caller or UNIX)
    if follower is None:
        raise ApiError(503, "too many follow the logs already: end another stream, or try again")
    return Response(200, (("content-type", STREAM),), Body(chunks=follower))


ROUTES: Final = (
    Route("GET", "/logs", _logs, "What workers said and did lately", Logs, query=LogsQuery),
    Route(
        "GET",
        "/logs/stream",
        _stream,
        "What workers say and do from now on, as server-sent events: `entry` and, where some were lost, `missed`",
        STREAM,
        query=LogsQuery,
        errors=(503,),
    ),
)
