"""Calls that wait: what a guest asks of its capabilities, each performed in a task of its own, or in none.

Rule 1: a call is charged to its invocation before anything is done.
Rule 2: every call is answered once, unless the guest abandons it or the isolate dies: then its task is cancelled, in
        one of the loop's next turns (`clearing`), and takes up room until it has ended.
Rule 3: the body of a request that is not sent, or whose sending fails, is closed.
Rule 4: what only computes is not begun where the invocation has no CPU time for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pyworkerd_isolates.protocol import WINDOW, Abandon, Call, Events, Fetch, Held, Shared, StreamRef

from pyworkerd.errors import BadEffect, ExceededSubrequests, InternalError, PyworkerdError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.stubs import release

from .computing import QUICK_MS, Computation, check_cost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.protocol import Named

    from pyworkerd.services.base import Pending

    from .bodies import Bodies
    from .channels import Channels, Computing
    from .invocation import Invocation
    from .sockets import Sockets
    from .spans import CallSpans
    from .streams import Door
    from .stubs import Stubs
    from .threads import Slices


class Asker(Protocol):
    """The worker on whose behalf calls are made."""

    @property
    def channels(self) -> Channels:
        """The door."""

    @property
    def limits(self) -> Limits:
        """What each of its isolates may use."""

    @property
    def calls(self) -> int:
        """How many calls within the process a request, and all that it causes, may make before this worker's are
        refused."""

    def call_spans(self) -> CallSpans | None:
        """What tells of the calls of one isolate; None where nobody is told."""

    def compute(self, job: Slices, invocation: Invocation, cost_ms: float) -> None:
        """Run a computation of this invocation on a thread, in the worker's turns."""

    def describe(self, error: Exception) -> tuple[str, str, str | None]:
        """An error as the guest may see it: code, sentence, and the exception's type if a worker raised it."""


def _size(effect: Call | Fetch) -> int:
    if isinstance(effect, Call):
        return len(effect.arguments)
    return len(effect.body) if isinstance(effect.body, bytes) else 0


class _Cancelled(Protocol):
    def cancel(self) -> object:
        """Nobody waits for it any more."""


class _Waiting(NamedTuple):
    effect: Call | Fetch
    work: _Cancelled


class _Asked:
    """A call that is made without a task, where its capability can be asked like that."""

    __slots__ = ("_body", "_calls", "_effect", "_invocation", "_over", "_pending")

    def __init__(self, calls: Calls, effect: Call | Fetch, invocation: Invocation, body: Body | None) -> None:
        self._calls, self._effect, self._invocation, self._body = calls, effect, invocation, body
        self._pending: Pending | None = None
        self._over = False

    def ask(self, channels: Channels) -> bool:
        """Whether it is asked now, or was answered already."""
        effect, context = self._effect, self._invocation.context
        try:
            if isinstance(effect, Call):
                self._pending = channels.ask(
                    effect.capability, effect.method, effect.arguments, context, self._reply
                )
            else:
                assert self._body is not None
                request = Request(effect.method, effect.url, effect.headers, self._body)
                self._pending = channels.ask_fetch(
                    effect.capability, request, effect.redirect, context, self._reply
                )
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._reply(None, error)
        if self._over:
            self._pending = None
        return self._over or self._pending is not None

    def _reply(self, answer: Any, error: Exception | None) -> None:
        if not self._over:
            body, _ = self._end()
            self._calls.replied(self._effect, self._invocation, body, answer, error)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if not self._over:
            body, pending = self._end()
            if pending is not None:
                pending.cancel()
            self._calls.over(self._effect, self._invocation)
            self._calls.close(body)

    def _end(self) -> tuple[Body | None, Pending | None]:
        held = self._body, self._pending
        self._over, self._body, self._pending = True, None, None  # it and the pending answer hold each other
        return held


class Calls:
    """The calls of one isolate that have no answer yet."""

    __slots__ = (
        "_asker",
        "_bodies",
        "_door",
        "_leaving",
        "_limit",
        "_refused",
        "_room",
        "_sockets",
        "_spans",
        "_stubs",
        "_waiting",
    )

    def __init__(self, door: Door, bodies: Bodies, sockets: Sockets, stubs: Stubs, asker: Asker) -> None:
        self._door, self._bodies, self._sockets, self._stubs = door, bodies, sockets, stubs
        self._asker, self._limit = asker, asker.limits.pending
        self._spans = asker.call_spans()
        self._waiting: dict[int, _Waiting] = {}
        self._leaving = 0
        """Tasks that nobody waits for any more, and that have not ended yet."""
        self._room = self._limit
        self._refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def renew(self) -> None:
        """A step begins: it may make as many calls as there is room for now. What it abandons makes no more."""
        self._room, self._refused = self._limit - len(self._waiting) - self._leaving, 0
        self._stubs.renew()

    def begin(self, effect: Call | Fetch, invocation: Invocation | None) -> None:
        """Perform a call, if its invocation lives and may still ask. Raises `BadEffect` for what was never given."""
        if effect.call in self._waiting:
            raise BadEffect("the worker used the number of a call twice")
        try:
            if invocation is None:
                raise ExceededSubrequests("its invocation has ended")
            if type(effect) is Call and type(effect.arguments) is Shared:
                effect = effect._replace(arguments=self._stubs.carry(effect.arguments, invocation))
            computing, cost_ms = self._charge(invocation, effect)
        except PyworkerdError as error:
            self._refuse(effect)
            if isinstance(error, BadEffect):
                raise
            self._refused += 1
            if self._refused > self._limit:
                raise BadEffect("the worker goes on making calls that are refused") from None
            self._reject(effect, error)
            return
        self._room -= 1
        if computing is not None and isinstance(effect, Call):
            self._hold(effect, invocation)
            job = Computation(self, computing, effect, invocation, cost_ms)
            self._waiting[effect.call] = _Waiting(effect, job)
            if cost_ms <= QUICK_MS:
                job.at_once()
            else:
                self._asker.compute(job, invocation, cost_ms)
            return
        body = (
            self._bodies.outbound(effect.body, invocation, upload=True) if isinstance(effect, Fetch) else None
        )
        invocation.touched_outside = True
        self._hold(effect, invocation)
        asked = _Asked(self, effect, invocation, body)
        self._waiting[effect.call] = _Waiting(effect, asked)
        if asked.ask(self._channels(effect.capability)):
            return
        work = (
            self._fetch(effect, body, invocation)
            if isinstance(effect, Fetch) and body
            else self._call(effect, invocation)
        )
        task = self._door.spawn(work, invocation.context)
        self._waiting[effect.call] = _Waiting(effect, task)
        task.add_done_callback(partial(self._ended, effect, invocation, body))

    def _refuse(self, effect: Call | Fetch) -> None:
        """What it would have sent goes nowhere."""
        if isinstance(effect, Fetch):
            self._bodies.discard(effect.body)
        else:
            self._stubs.refuse(effect.arguments)

    def _channels(self, named: Named) -> Channels:
        return self._asker.channels if type(named) is not Held else self._stubs

    def _hold(self, effect: Call | Fetch, invocation: Invocation) -> None:
        invocation.hold(Abandon(effect.call))
        self._door.room.promised += _size(effect)
        self._door.room.hold(_size(effect))
        if self._spans is not None:
            self._spans.begins(effect, invocation)

    def _charge(self, invocation: Invocation, effect: Call | Fetch) -> tuple[Computing | None, float]:
        """What will compute it, if it is to be computed, and what that costs."""
        if self._room <= 0:
            raise ExceededSubrequests(f"more than {self._limit} calls wait at once")
        streams = isinstance(effect, Fetch) and isinstance(effect.body, StreamRef)
        if not self._door.room.has(WINDOW if streams else _size(effect)):
            raise ExceededSubrequests(
                f"arguments, bodies and messages that wait have more than {self._door.room.limit} bytes"
            )
        channels = self._channels(effect.capability)
        if channels.external(effect.capability):
            if invocation.subrequests_left <= 0:
                raise ExceededSubrequests("the invocation has made all its subrequests (limits.subrequests)")
            invocation.subrequests_left -= 1
            return None, 0.0
        computing = channels.computing(effect.capability)
        if computing is not None and isinstance(effect, Call):
            cost_ms = computing.cost_ms(effect.method, effect.arguments)
            check_cost(invocation, cost_ms)
            return computing, cost_ms
        request = invocation.scope.root
        if request.calls >= self._asker.calls:
            raise ExceededSubrequests(
                f"the request and what it caused have made {self._asker.calls} calls (limits.calls)"
            )
        request.calls += 1
        return None, 0.0

    async def _call(self, effect: Call | Fetch, invocation: Invocation) -> None:
        assert isinstance(effect, Call)
        try:
            value = await self._channels(effect.capability).call(
                effect.capability, effect.method, effect.arguments
            )
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            if self._is_wanted(effect):
                self._reject(effect, error)
        else:
            if self._is_wanted(effect):
                self._door.send(effect.invocation, self._value(effect.call, value, invocation))
            release(value)

    async def _fetch(self, effect: Fetch, body: Body, invocation: Invocation) -> None:
        request = Request(effect.method, effect.url, effect.headers, body)
        try:
            response, url = await self._asker.channels.fetch(effect.capability, request, effect.redirect)
            if invocation.done or not self._is_wanted(effect):
                self._door.spawn(response.aclose())
                return
            answer = self._answer(effect.call, response, url, invocation)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            if self._is_wanted(effect):
                self._reject(effect, error)
            self.close(body)
            return
        self._door.send(effect.invocation, answer)

    def _is_wanted(self, effect: Call | Fetch) -> bool:
        """Whether this is the call that the guest means by its number."""
        waiting = self._waiting.get(effect.call)
        return waiting is not None and waiting.effect is effect

    def _answer(
        self, call: int, response: Response, url: str, invocation: Invocation
    ) -> Callable[[Events], None]:
        """What the guest gets of a response. Raises `ExceededWebSockets`."""
        headers = response.headers
        if response.web_socket is not None:
            socket = self._sockets.inbound(response.web_socket, invocation)
            return partial(Events.resolve_upgrade, call=call, headers=headers, socket=socket, url=url)
        body = self._bodies.inbound(response.body, invocation)
        return partial(
            Events.resolve_response, call=call, status=response.status, headers=headers, body=body, url=url
        )

    def _value(self, call: int, value: bytes, invocation: Invocation) -> Callable[[Events], None]:
        """What the guest gets of a result, whose stubs it holds from now on."""
        stubs = self._stubs.receive(value, invocation)
        return partial(Events.resolve_value, call=call, value=value, stubs=stubs)

    def _reject(self, effect: Call | Fetch, error: Exception) -> None:
        code, message, type_name = self._asker.describe(error)
        if self._spans is not None:
            self._spans.fails(effect, error)
        self._door.send(
            effect.invocation, lambda events: events.reject(effect.call, code, message, type_name)
        )

    def _ended(
        self, effect: Call | Fetch, invocation: Invocation, body: Body | None, task: asyncio.Task[None]
    ) -> None:
        broken = task.cancelled() or task.exception() is not None
        if broken and self._is_wanted(effect):
            self._reject(effect, InternalError("the call was broken off"))
        self.over(effect, invocation)
        if broken:
            self.close(body)

    def replied(
        self,
        effect: Call | Fetch,
        invocation: Invocation,
        body: Body | None,
        answer: Any,
        error: Exception | None,
    ) -> None:
        """A call that was asked is answered: bytes, or a response and its URL."""
        wanted = self._is_wanted(effect)
        if error is not None and self._spans is not None:
            self._spans.fails(effect, error)
        self.over(effect, invocation)
        if error is None and isinstance(effect, Fetch):
            if invocation.done or not wanted:
                self._door.spawn(answer[0].aclose())
                return
            try:
                response, url = answer
                event = self._answer(effect.call, response, url, invocation)
            except PyworkerdError as refusal:
                error = refusal
        if error is not None:
            self.close(body)
        if not wanted:
            release(answer)
            return
        if error is not None:
            self._reject(effect, error)
            return
        if not isinstance(effect, Fetch):
            event = self._value(effect.call, answer, invocation)
            release(answer)
        self._door.send(effect.invocation, event)

    def over(self, effect: Call | Fetch, invocation: Invocation) -> None:
        """Nothing is left of a call."""
        if self._is_wanted(effect):
            del self._waiting[effect.call]
        else:
            self._leaving -= 1
        self._door.room.promised -= _size(effect)
        self._door.room.hold(-_size(effect))
        invocation.let_go(Abandon(effect.call))
        if self._spans is not None:
            self._spans.over(effect, invocation)
        if type(effect) is Call:
            release(effect.arguments)

    def close(self, body: Body | None) -> None:
        """What was to be sent will not be."""
        if body is not None and body.data is None:
            self._door.spawn(body.aclose())

    def abandon(self, effect: Abandon) -> None:
        """The guest no longer waits for this one."""
        waiting = self._waiting.pop(effect.call, None)
        if waiting is not None:
            self._leaving += 1
            self._door.clear(waiting.work.cancel)

    def release(self, owner: Invocation) -> None:
        """The invocation is done: nobody waits for its calls."""
        for held in tuple(owner.held or ()):
            if isinstance(held, Abandon):
                self.abandon(held)

    def end(self) -> None:
        """The isolate is dead."""
        for call in tuple(self._waiting):
            self.abandon(Abandon(call))
