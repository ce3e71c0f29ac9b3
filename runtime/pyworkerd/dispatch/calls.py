"""Calls that wait: what a guest asks of its capabilities, each performed in a task of its own, or in none.

Rule 1: a call is charged to its invocation before anything is done.
Rule 2: every call is answered once, unless the guest abandons it or the isolate dies: then its task is cancelled, in
        one of the loop's next turns (`clearing`), and takes up room until it has ended.
Rule 3: the body of a request that is not sent, or whose sending fails, is closed.
Rule 4: what only computes is not begun where the invocation has no CPU time for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyworkerd_isolates.protocol import WINDOW, Abandon, Call, Events, Fetch, Held, Shared, StreamRef

from pyworkerd.bindings.arguments import LONG, bounded, easy_bytes, is_long
from pyworkerd.errors import BadEffect, ExceededSubrequests, InternalError, PyworkerdError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.stubs import Carried, release

from .computing import QUICK_MS, Computation, check_cost
from .reading import Reading
from .waiting import Waiting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pyworkerd_isolates.limits import Limits

    from pyworkerd.services.base import Pending

    from .bodies import Bodies
    from .channels import Capability, Channels, Computing
    from .invocation import Invocation
    from .sockets import Sockets
    from .spans import CallSpans
    from .streams import Door
    from .stubs import Stubs
    from .threads import Slices


LEAST: Final = 1024
"""Bytes beyond which what a call sends is accounted, and bounded in sum. Its record takes twice as much, and of these
there are as many as may wait (`Limits.pending`)."""


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


class _Asked(Waiting):
    """A call that is made without a task."""

    __slots__ = ("_body", "_calls", "_over", "_pending", "foreign")

    def __init__(
        self, calls: Calls, effect: Call | Fetch, invocation: Invocation, size: int, body: Body | None
    ) -> None:
        self.effect, self.invocation, self.size = effect, invocation, size
        self._calls, self._body = calls, body
        self._pending: Pending | None = None
        self._over = self.foreign = False

    def ask(self, capability: Capability, arguments: bytes) -> bool:
        """Whether it is asked now, or was answered already. `arguments` are those of the call, as the capability has
        them."""
        effect = self.effect
        try:
            if type(effect) is Call:
                ask = getattr(capability, "ask", None)
                if ask is None:
                    return False
                self.foreign = getattr(capability, "foreign", False)
                pending = ask(effect.method, arguments, self.invocation.context, self._reply)
            else:
                assert isinstance(effect, Fetch)
                assert self._body is not None
                ask = getattr(capability, "ask_fetch", None)
                if ask is None:
                    return False
                request = Request(effect.method, effect.url, effect.headers, self._body, effect.connect_ms)
                pending = ask(request, effect.redirect, self.invocation.context, self._reply)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._reply(None, error)
            return True
        if self._over:
            return True
        self._pending = pending
        return pending is not None

    def _reply(self, answer: Any, error: Exception | None) -> None:
        if self._over:
            return
        self._over, self._pending = True, None  # it and the pending answer hold each other
        if error is None and self._body is None:
            self._calls.returned(self, answer)
            return
        body, self._body = self._body, None
        self._calls.replied(self, body, answer, error)

    def cancel(self) -> None:
        """See `Waiting`."""
        if not self._over:
            body, pending = self._body, self._pending
            self._over, self._body, self._pending = True, None, None
            if pending is not None:
                pending.cancel()
            self._calls.over(self)
            self._calls.close(body)


class _Performed(Waiting):
    """A call that is made in a task."""

    __slots__ = ("_body", "_calls", "_task")

    def __init__(
        self, calls: Calls, effect: Call | Fetch, invocation: Invocation, size: int, body: Body | None
    ) -> None:
        super().__init__(effect, invocation, size)
        self._calls, self._body = calls, body

    def begin(self, task: asyncio.Task[None]) -> None:
        """This is the task."""
        self._task = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.ended(self, self._body, task.cancelled() or task.exception() is not None)

    def cancel(self) -> None:
        """See `Waiting`."""
        self._task.cancel()


class Calls:
    """The calls of one isolate that have no answer yet."""

    __slots__ = (
        "_asker",
        "_bodies",
        "_door",
        "_easy_bytes",
        "_leaving",
        "_limit",
        "_refused",
        "_room",
        "_sockets",
        "_spans",
        "_stubs",
        "_waiting",
        "stale",
    )

    def __init__(self, door: Door, bodies: Bodies, sockets: Sockets, stubs: Stubs, asker: Asker) -> None:
        self._door, self._bodies, self._sockets, self._stubs = door, bodies, sockets, stubs
        self._asker, self._limit = asker, asker.limits.pending
        self._spans = asker.call_spans()
        self._easy_bytes = easy_bytes(asker.limits.cpu_ms)
        self._waiting: dict[int, Waiting] = {}
        self._leaving = 0
        """Tasks that nobody waits for any more, and that have not ended yet."""
        self._room = self._limit
        self._refused = 0
        self.stale = False
        """Something has changed since the last step that the next one begins with: `renew`."""

    def __len__(self) -> int:
        return len(self._waiting)

    def renew(self) -> None:
        """A step begins: it may make as many calls as there is room for now. What it abandons makes no more."""
        self._room, self._refused = self._limit - len(self._waiting) - self._leaving, 0
        self.stale = False

    def begin(self, effect: Call | Fetch, invocation: Invocation | None) -> None:
        """Perform a call, if its invocation lives and may still ask. Raises `BadEffect` for what was never given."""
        if effect.call in self._waiting:
            raise BadEffect("the worker used the number of a call twice")
        try:
            if invocation is None:
                raise ExceededSubrequests("its invocation has ended")
            if isinstance(effect, Fetch):
                size = len(effect.body) if isinstance(effect.body, bytes) else 0
            else:
                if type(effect.arguments) is Shared:
                    effect = effect._replace(arguments=self._stubs.carry(effect.arguments, invocation))
                size = len(effect.arguments)
            capability, computing, cost_ms = self._charge(invocation, effect, size)
        except PyworkerdError as error:
            self._refuse(effect)
            if isinstance(error, BadEffect):
                raise
            self._refused += 1
            self.stale = True
            if self._refused > self._limit:
                raise BadEffect("the worker goes on making calls that are refused") from None
            self._reject(effect, error)
            return
        self._room -= 1
        if computing is not None and type(effect) is Call:
            self._compute(Computation(self, computing, effect, invocation, cost_ms, size), cost_ms)
            return
        body = self._bodies.outbound(effect.body, invocation, upload=True) if type(effect) is Fetch else None
        invocation.touched_outside = True
        arguments = effect.arguments if type(effect) is Call else b""
        if size > LONG and is_long(arguments) and getattr(capability, "reads", False):
            reading = Reading(self, capability, arguments, effect, invocation, size)
            self._hold(reading)
            self._asker.compute(reading, invocation, reading.cost_ms)
            return
        asked = _Asked(self, effect, invocation, size, body)
        self._hold(asked)
        if not asked.ask(capability, arguments):
            self._perform(asked, capability, arguments, body)

    def _compute(self, job: Computation, cost_ms: float) -> None:
        self._hold(job)
        if cost_ms <= QUICK_MS:
            job.at_once()
        else:
            self._asker.compute(job, job.invocation, cost_ms)

    def read(self, reading: Waiting, capability: Capability, arguments: bytes) -> None:
        """Arguments that took long to read have been read. Nobody may wait for the call any more, though it has not
        been cancelled yet: then its number may be another one's."""
        if not self._is_wanted(reading):
            self.over(reading)
            return
        asked = _Asked(self, reading.effect, reading.invocation, reading.size, None)
        self._replace(reading, asked)
        if not asked.ask(capability, arguments):
            self._perform(asked, capability, arguments, None)

    def _replace(self, waiting: Waiting, by: Waiting) -> None:
        waiting.invocation.let_go(waiting)
        waiting.invocation.hold(by)
        self._waiting[waiting.effect.call] = by

    def _perform(self, asked: Waiting, capability: Capability, arguments: bytes, body: Body | None) -> None:
        """What cannot be asked without a task is done in one."""
        effect, invocation = asked.effect, asked.invocation
        performed = _Performed(self, effect, invocation, asked.size, body)
        self._replace(asked, performed)
        work = (
            self._fetch(performed, effect, capability, body)
            if isinstance(effect, Fetch) and body
            else self._call(performed, capability, arguments)
        )
        performed.begin(self._door.spawn(work, invocation.context))

    def _refuse(self, effect: Call | Fetch) -> None:
        """What it would have sent goes nowhere."""
        if isinstance(effect, Fetch):
            self._bodies.discard(effect.body)
        else:
            self._stubs.refuse(effect.arguments)

    def _hold(self, waiting: Waiting) -> None:
        self._waiting[waiting.effect.call] = waiting
        waiting.invocation.hold(waiting)
        if waiting.size > LEAST:
            room = self._door.room
            room.promised += waiting.size
            room.hold(waiting.size)
        if self._spans is not None:
            self._spans.begins(waiting.effect, waiting.invocation)

    def _charge(
        self, invocation: Invocation, effect: Call | Fetch, size: int
    ) -> tuple[Capability, Computing | None, float]:
        """Whom it asks; what will compute it, if it is to be computed, and what that costs."""
        if self._room <= 0:
            raise ExceededSubrequests(f"more than {self._limit} calls wait at once")
        if type(effect) is Fetch and isinstance(effect.body, StreamRef):
            size = WINDOW
        if size > LEAST and not self._door.room.has(size):
            raise ExceededSubrequests(
                f"arguments, bodies and messages that wait have more than {self._door.room.limit} bytes"
            )
        named = effect.capability
        channels: Channels = self._asker.channels if type(named) is not Held else self._stubs
        capability = channels.find(named)
        if capability.external:
            if invocation.subrequests_left <= 0:
                raise ExceededSubrequests("the invocation has made all its subrequests (limits.subrequests)")
            invocation.subrequests_left -= 1
            return capability, None, 0.0
        computing = channels.computing(named) if type(effect) is Call else None
        if computing is not None:
            assert isinstance(effect, Call)
            cost_ms = computing.cost_ms(effect.method, effect.arguments)
            check_cost(invocation, cost_ms)
            return capability, computing, cost_ms
        request = invocation.scope.root
        if request.calls >= self._asker.calls:
            raise ExceededSubrequests(
                f"the request and what it caused have made {self._asker.calls} calls (limits.calls)"
            )
        request.calls += 1
        return capability, None, 0.0

    async def _call(self, waiting: Waiting, capability: Capability, arguments: bytes) -> None:
        effect = waiting.effect
        assert isinstance(effect, Call)
        try:
            value = await capability.call(effect.method, arguments)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            if self._is_wanted(waiting):
                self._reject(effect, error)
        else:
            if self._is_wanted(waiting):
                self._give(effect, value, waiting.invocation)
            release(value)

    async def _fetch(self, waiting: Waiting, effect: Fetch, capability: Capability, body: Body) -> None:
        invocation = waiting.invocation
        request = Request(effect.method, effect.url, effect.headers, body, effect.connect_ms)
        try:
            response, url = await capability.fetch(request, effect.redirect)
            if invocation.done or not self._is_wanted(waiting):
                self._door.spawn(response.aclose())
                return
            answer = self._answer(effect.call, response, url, invocation)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            if self._is_wanted(waiting):
                self._reject(effect, error)
            self.close(body)
            return
        self._door.send(effect.invocation, answer)

    def _is_wanted(self, waiting: Waiting) -> bool:
        """Whether this is the call that the guest means by its number."""
        return self._waiting.get(waiting.effect.call) is waiting

    def _answer(
        self, call: int, response: Response, url: str, invocation: Invocation
    ) -> Callable[[Events], None]:
        """What the guest gets of a response. Raises `ExceededWebSockets` and `ExceededSubrequests`."""
        headers = response.headers
        size = sum([len(name) + len(value) for name, value in headers])
        if (data := response.body.data) is not None and len(data) <= WINDOW:
            size += len(data)
        try:
            self._queue(invocation, size)
        except PyworkerdError:
            self._door.spawn(response.aclose())
            raise
        if response.web_socket is not None:
            socket = self._sockets.inbound(response.web_socket, invocation)
            return partial(Events.resolve_upgrade, call=call, headers=headers, socket=socket, url=url)
        body = self._bodies.inbound(response.body, invocation)
        return partial(
            Events.resolve_response, call=call, status=response.status, headers=headers, body=body, url=url
        )

    def _queue(self, invocation: Invocation, size: int) -> None:
        """So many bytes of an answer wait for a step, which may be long in coming. Raises `ExceededSubrequests`."""
        if size > LEAST:
            limits, crowd = self._asker.limits, self._door.crowd
            if crowd.size + size > limits.memory_bytes:
                raise ExceededSubrequests(
                    f"answers of calls that wait have more than {limits.memory_mb} MB (limits.memory_mb)"
                )
            crowd.joins(invocation.id, size)

    def _give(self, effect: Call | Fetch, value: bytes, invocation: Invocation) -> None:
        """A result, whose stubs the guest holds from now on."""
        try:
            self._queue(invocation, len(value))
        except ExceededSubrequests as refusal:
            self._reject(effect, refusal)
            return
        stubs = self._stubs.receive(value, invocation) if type(value) is Carried else ()
        self._door.send(
            effect.invocation, partial(Events.resolve_value, call=effect.call, value=value, stubs=stubs)
        )

    def _reject(self, effect: Call | Fetch, error: Exception) -> None:
        code, message, type_name = self._asker.describe(error)
        if self._spans is not None:
            self._spans.fails(effect, error)
        call = effect.call  # what else it holds, arguments of megabytes perhaps, is not to wait for a step
        self._door.send(effect.invocation, lambda events: events.reject(call, code, message, type_name))

    def ended(self, waiting: Waiting, body: Body | None, broken: bool) -> None:
        """The task that performed a call is over; where that is `broken`, it gave no answer."""
        if broken and self._is_wanted(waiting):
            self._reject(waiting.effect, InternalError("the call was broken off"))
        self.over(waiting)
        if broken:
            self.close(body)

    def returned(self, waiting: Waiting, value: bytes) -> None:
        """A call that was asked has a result."""
        if waiting.foreign and len(value) > self._easy_bytes:
            try:
                bounded(value, "the result", self._asker.limits.cpu_ms)
            except PyworkerdError as refusal:
                release(value)
                self.replied(waiting, None, None, refusal)
                return
        if self.over(waiting):
            self._give(waiting.effect, value, waiting.invocation)
        if type(value) is Carried:
            value.release()

    def replied(
        self,
        waiting: Waiting,
        body: Body | None,
        answer: tuple[Response, str] | None,
        error: Exception | None,
    ) -> None:
        """A request that was asked is answered with a response and its URL, or anything with an error."""
        effect, invocation = waiting.effect, waiting.invocation
        if error is not None and self._spans is not None:
            self._spans.fails(effect, error)
        wanted = self.over(waiting)
        if answer is not None:
            response, url = answer
            if invocation.done or not wanted:
                self._door.spawn(response.aclose())
                return
            try:
                event = self._answer(effect.call, response, url, invocation)
            except PyworkerdError as refusal:
                error = refusal
        if error is not None:
            self.close(body)
            if wanted:
                self._reject(effect, error)
        else:
            self._door.send(effect.invocation, event)

    def over(self, waiting: Waiting) -> bool:
        """Nothing is left of a call. Returns whether the guest still waited for it."""
        effect, invocation, size = waiting.effect, waiting.invocation, waiting.size
        self.stale = True
        wanted = self._waiting.get(effect.call) is waiting
        if wanted:
            del self._waiting[effect.call]
        else:
            self._leaving -= 1
        if size > LEAST:
            room = self._door.room
            room.promised -= size
            room.hold(-size)
        invocation.let_go(waiting)
        if self._spans is not None:
            self._spans.over(effect, invocation)
        if type(effect) is Call and type(effect.arguments) is Carried:
            effect.arguments.release()
        return wanted

    def close(self, body: Body | None) -> None:
        """What was to be sent will not be."""
        if body is not None and body.data is None:
            self._door.spawn(body.aclose())

    def abandon(self, effect: Abandon) -> None:
        """The guest no longer waits for this one."""
        waiting = self._waiting.pop(effect.call, None)
        if waiting is not None:
            self._leaving += 1
            self._door.clear(waiting.cancel)

    def release(self, owner: Invocation) -> None:
        """The invocation is done: nobody waits for its calls."""
        for held in tuple(owner.held or ()):
            if isinstance(held, Waiting) and self._is_wanted(held):
                self.abandon(Abandon(held.effect.call))

    def end(self) -> None:
        """The isolate is dead."""
        for call in tuple(self._waiting):
            self.abandon(Abandon(call))
