"""A worker as a service: its image, its isolates, and the requests that wait for one.

The pool's decisions are `pyworkerd_isolates.pool.plan`; this is the shell that performs them.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import replace
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.limits import Limits as IsolateLimits
from pyworkerd_isolates.pool import (
    Assign,
    Evict,
    Member,
    Refuse,
    Start,
    Waiting,
    plan,
    starts_at_once,
)

from pyworkerd.bindings.arguments import bounded, easy_bytes
from pyworkerd.errors import (
    BadEffect,
    BodyTooLarge,
    ExceededWallTime,
    InternalError,
    NoSuchEntrypoint,
    Overloaded,
    PyworkerdError,
)
from pyworkerd.messages import Request, Response
from pyworkerd.observe.logs import LogSink, Recent
from pyworkerd.observe.scope import Scope, scope
from pyworkerd.observe.spans import told
from pyworkerd.services.base import DEFAULT, Target

from .allowance import Allowance
from .asked import Asked, Asking, ask_call, ask_fetch, begin
from .budget import Budget
from .callers import OUTSIDE
from .channels import Channels, NoChannels
from .clearing import Clearing
from .computing import LONG_MS
from .entering import bounded_request, check_props, dismiss, scope_of
from .expiry import Expiries
from .failures import outcome
from .fairness import Account
from .invocation import CallWork, FetchWork, HandlerWork, Invocation, Work
from .line import Line
from .live import Live
from .measuring import measure_pool
from .objects import Objects
from .options import ISOLATE_COST, UNFROZEN_COST, WorkerOptions
from .placement import Placement
from .reaper import Reaper
from .sharing import account_of, background_weight
from .sockets import RESTART, Places
from .spans import trace_of
from .telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextvars import Context

    from pyworkerd_isolates.bundle import Bundle, Folder
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.kinds import AnyIsolate, Deployed
    from pyworkerd_isolates.pool import Policy
    from pyworkerd_isolates.protocol import Commit, Entry, Events

    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.services.base import Reply, Surroundings

    from .fleet import Fleet
    from .threads import Slices, Steps

NOTHING: Final[Mapping[str, object]] = {}


class Worker(Telling):
    """One version of one tenant's program. Implements `services.base.Service`; runs on one event loop."""

    external = False
    hibernates = False
    """Whether its isolates may, and it hears of each pause."""

    def __init__(
        self,
        name: str,
        fleet: Fleet,
        source: Bundle | Folder | None,
        options: WorkerOptions,
        environment: Sequence[Entry] = (),
        channels: Channels | None = None,
        kin: Worker | None = None,
    ) -> None:
        self.name, self.fleet = name, fleet
        self.counters = fleet.enrol(self)
        self.loop = asyncio.get_running_loop()
        self.environment, self.source = environment, source
        self.channels: Channels = channels or NoChannels()
        self.options, given = options, options.limits
        self.limits = IsolateLimits(
            cpu_ms=given.cpu_ms, memory_mb=given.memory_mb, startup_ms=given.startup_ms
        )
        self._budget = Budget(given.cpu_ms, given.wall_ms)
        self._background = Budget(given.background_cpu_ms, given.background_wall_ms, "limits.background_")
        self._expiries = Expiries(self.loop, self._expire)
        self._expiry = self._expiries.of(self._budget)
        self.subrequests, self.calls = given.subrequests, given.calls
        self.log_bytes = given.log_kb * 1024
        self.meta = options.meta(name)
        self.request_body_bytes = given.request_body_mb * 1024 * 1024
        self.message_bytes = given.websocket_message_mb * 1024 * 1024
        self.places = Places(given.websockets)
        self.allowance = Allowance(given.cpu_ms, given.subrequests, self.log_bytes)
        self.easy_bytes = easy_bytes(given.cpu_ms)  # of arguments
        self.policy = options.policy(fresh=source is not None and source.language.is_program)
        self.placement = Placement()
        self.threads: Steps = fleet.threads
        self.loop_account: Account[Callable[[], None]] = kin.loop_account if kin else Account(given.weight)
        self.clearing = Clearing(fleet.turns, self.loop_account)
        self.thread_account: Account[Slices] = kin.thread_account if kin else Account(given.weight)
        self.long_account: Account[Slices] = kin.long_account if kin else Account(given.weight)
        self.patient: Account[Slices] = kin.patient if kin else Account(background_weight(given.weight))
        self.cost = ISOLATE_COST
        self.logs = Recent()
        self.sinks: tuple[LogSink, ...] = (self.logs, *options.sinks)
        self.objects = Objects(self, options.objects)
        self._image: Image | None = None
        self._members: dict[int, Live] = {}
        self.refused = False
        """Memory is short, and this worker is among those that take most of it: it gets no new work."""
        self._favourite: Live | None = None
        """The isolate that was given something last: as long as its steps are short, what comes joins them."""
        self._waiting = Line(self.policy)
        self._numbers = count(1)
        self._planned = False
        self._stopping: set[Live] = set()
        """Dead isolates whose last step still runs on a thread."""
        self._all_stopped: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reaper = Reaper(self.loop, self._reap)
        self._quiet: asyncio.Event | None = None
        """Somebody waits until nothing is left to do."""
        self._closed = False

    def __repr__(self) -> str:
        return f"<Worker {self.name}: {len(self._members)} isolates, {len(self._waiting)} requests wait>"

    # deploy ----------------------------------------------------------------------------------------------------------

    async def deploy(self, image: Image | None = None) -> Deployed:
        """Build the image, or find it, or take this one. Raises an `ImageError` with file and line."""
        if image is None:
            assert self.source is not None
            image = await self.fleet.image(self.source, self.limits)
        self._image = image
        own = ISOLATE_COST if image.sources is None else UNFROZEN_COST
        self.cost = own + max(self._image.memory_size - self._image.engine.base_memory, 0)
        self.policy = replace(self.policy, cost=self.cost)
        self._tell(image)
        return image

    def _tell(self, deployed: Deployed) -> None:
        for level, source, message in deployed.logs if deployed.built else ():
            self.log(0, level, source, message)

    @property
    def image(self) -> Deployed:
        """The image; only after `deploy()`."""
        if self._image is None:
            raise InternalError(f"worker {self.name!r} was not deployed")
        return self._image

    def entrypoints(self) -> dict[str, tuple[str, ...]]:
        """Handlers by entrypoint; "" is the default export."""
        return dict(self.image.handlers)

    # service ---------------------------------------------------------------------------------------------------------

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """See `services.base.Service`. Raises `BodyTooLarge` for a body beyond `limits.request_body_mb`."""
        if target.object is not None:
            return await self.objects.find(target).answer(request, target)
        return await self.options.in_front(request, target) or await self.answer(request, target)

    async def answer(self, request: Request, target: Target) -> Response:
        """`fetch`, of an isolate of its own."""
        work_for, headers = scope_of(request.headers)
        if headers is not request.headers:
            request = replace(request, headers=headers)
        began = monotonic_ns()
        try:
            answer = await self._invoke(FetchWork(self.limited(request), target), work_for)
        except BaseException as error:
            status, code = outcome(error)
            self.counters.failed(status, code, monotonic_ns() - began)
            raise
        assert isinstance(answer, Response)
        self.counters.answered(answer.status, monotonic_ns() - began)
        return answer

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Asked | None:
        """See `services.base.Ask`."""
        if self.options.front is not None and not self.options.front.passes(request):
            return None
        asked = begin(self, Asked(self, reply), FetchWork(request, DEFAULT), span, surroundings)
        self.fleet.turns.hurry(self.loop_account)
        return asked

    ask_fetch, ask_call = ask_fetch, ask_call

    def limited(self, request: Request) -> Request:
        """With a body no longer than it may be. Raises `BodyTooLarge`."""
        return bounded_request(request, self.request_body_bytes, self._too_large)

    def _too_large(self) -> BodyTooLarge:
        self.counters.limit(BodyTooLarge.code)
        return BodyTooLarge(self.request_body_bytes)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """See `services.base.Service`. Arguments that would take long to read are a TypeError of the caller's."""
        if target.object is not None:
            return await self.objects.find(target).called(CallWork(method, arguments, target))
        return await self.called(CallWork(method, arguments, target))

    async def handle(
        self, handler: str, event: bytes, target: Target = DEFAULT, about: Mapping[str, object] = NOTHING
    ) -> bytes:
        """Run a handler that no client waits for. `event` is a value of the runtime's own, as is what it returns;
        `about` what tail workers learn of it. Raises what `fetch` raises.
        """
        return await self.called(HandlerWork(handler, event, target, about=about), self._background.cpu_ms)

    async def called(self, work: CallWork, cpu_ms: float | None = None) -> bytes:
        """`call`, of an isolate of its own."""
        try:
            bounded(work.arguments, "the arguments", cpu_ms or self.limits.cpu_ms)
            answer = await self._invoke(work, scope_of(())[0])
        except BaseException as error:
            self.counters.call_failed(outcome(error)[1])
            raise
        assert isinstance(answer, bytes)
        self.counters.calls += 1
        return answer

    def check(self, target: Target) -> None:
        """Raises `PyworkerdError` or TypeError for what cannot be asked."""
        if (target.entrypoint or "") not in (self._image or self.image).handlers:
            raise NoSuchEntrypoint(
                f"worker {self.name!r} exports no entrypoint {target.entrypoint or 'Default'!r}"
            )
        if self._closed:
            raise Overloaded(f"worker {self.name!r} is closed")
        if target.props:
            check_props(target.props)

    def invocation(
        self, work: Work, answer: asyncio.Future[Response | bytes] | Asking,
        context: Context | Surroundings, work_for: Scope,
    ) -> Invocation:  # fmt: skip
        """The record of something that is asked."""
        invocation = Invocation(
            next(self._numbers), work, answer, self.loop.time(),
            self._background if type(work) is HandlerWork else self._budget,
            self.subrequests, self.log_bytes, context, work_for,
        )  # fmt: skip
        if self.options.tails is not None or self.fleet.feed is not None or told.listener is not None:
            invocation.trace = trace_of(self, work, work_for)
        return invocation

    async def _invoke(self, work: Work, work_for: Scope) -> Response | bytes:
        self.check(work.target)
        answer: asyncio.Future[Response | bytes] = self.loop.create_future()
        invocation = self.invocation(work, answer, copy_context(), work_for)
        if scope.get() is not work_for:
            invocation.context.run(scope.set, work_for)
        self.arrive(invocation)
        self.fleet.turns.hurry(self.loop_account)
        try:
            return await answer
        except asyncio.CancelledError:
            self.forsaken(invocation)
            if invocation.succeeded():
                await dismiss(answer.result())
            raise
        finally:
            # An error holds this frame with its traceback: the frame must not hold the error.
            del answer, invocation

    def arrive(self, invocation: Invocation) -> None:
        """It begins, or waits. No guest runs before this returns."""
        if self.refused:
            self.counters.limit(Overloaded.code)
            invocation.fail(Overloaded("the server is short of memory"))
            invocation.finish()
            return
        line, live = self._waiting, self._favourite
        others_wait = bool(line.waiting) and line.eager()
        must_wait = invocation.scope.caller != OUTSIDE and line.must_wait(invocation)
        if not (others_wait or must_wait) and live is not None and live.welcomes(self.policy):
            self._give(live, invocation, invocation.since)
        elif not (others_wait or must_wait or line.waiting or invocation.alone) and starts_at_once(
            self.policy, len(self._members), self.fleet.shared()
        ):
            self._start(invocation, invocation.since)
        elif not line.put(invocation):
            self._refuse(invocation)
        elif must_wait:
            line.hold_back()
            if len(line) == 1:
                self._set_reaper()
        elif not others_wait:
            self._plan()
        elif line.overflows():
            # Whenever there is room again a plan is made soon: until then newcomers can only join the queue.
            self._refuse(invocation)

    def _refuse(self, invocation: Invocation) -> None:
        self.counters.limit(Overloaded.code)
        self._drop(invocation, Overloaded(f"no isolate of {self.name!r} could take the request in time"))

    def _drop(self, invocation: Invocation, error: PyworkerdError) -> None:
        """Let go of one that waits."""
        self._waiting.leave(invocation)
        invocation.fail(error)
        invocation.finish()
        self._tell_quiet()

    def forsaken(self, invocation: Invocation) -> None:
        """Its caller has gone."""
        if invocation in self._waiting:
            self._drop(invocation, Overloaded("its caller has gone"))
        elif (live := self._members.get(invocation.isolate or 0)) is not None:
            live.cancel(invocation)

    def compute(self, job: Slices, invocation: Invocation, cost_ms: float) -> None:
        """See `calls.Asker`."""
        if cost_ms > LONG_MS:
            self.fleet.long_threads.submit(self.long_account, job)
        else:
            self.fleet.threads.submit(account_of(self, (invocation,)), job)

    # the pool --------------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Look at what waits, and do what `plan()` says."""
        now = self.loop.time()
        alone = self._waiting.alone()
        if alone:
            # They go first, and each gets an isolate that has nothing else.
            self._perform(replace(self.policy, concurrency=1, queue=len(alone)), alone, now)
        candidates, late = self._waiting.candidates(now)
        for invocation in late:
            self._refuse(invocation)
        started = self._perform(self.policy, candidates, now)
        if started and self._waiting and not self.policy.fresh:
            self.plan_soon()  # what has just been started has room for others that wait
        self._set_reaper()
        self.fleet.hungers(self, bool(self._waiting) and len(self._members) < self.policy.isolates)

    def _perform(self, policy: Policy, invocations: list[Invocation], now: float) -> bool:
        """Do what the plan says. Returns whether isolates were started."""
        before = len(self._members)
        members = [
            Member(
                live.id,
                State.DRAINING if live.exclusive else live.state,
                live.load,
                live.stepping,
                live.idle_since,
            )
            for live in self._members.values()
        ]
        waiting = [Waiting(invocation.id, invocation.since) for invocation in invocations]
        for action in plan(policy, members, waiting, self.fleet.shared(), now):
            match action:
                case Assign(request, isolate):
                    self._give(self._members[isolate], self._waiting[request], now)
                case Start(request):
                    self._start(self._waiting[request], now)
                case Evict(isolate):
                    self.fleet.evict(isolate)
                case Refuse(request):
                    self._refuse(self._waiting[request])
        return len(self._members) > before

    def _start(self, invocation: Invocation, now: float) -> None:
        live = Live(self, next(self.fleet.numbers))
        self._members[live.id] = live
        self.fleet.born(live, self.cost)
        self.fleet.sleepers.filled(self)
        invocation.scope.root.cold = True
        self.counters.cold_starts += 1
        self._give(live, invocation, now)

    def _give(self, live: Live, invocation: Invocation, now: float) -> None:
        self._favourite = live
        self._waiting.begin(invocation)
        self.counters.waits += 1
        if now > invocation.since:
            self.counters.waited_ns += int((now - invocation.since) * 1e9)
        if not live.invocations:
            self.fleet.works(live)
        expiry = self._expiry if invocation.budget is self._budget else self._expiries.of(invocation.budget)
        expiry.begin(invocation, now)
        live.take(invocation)

    def _expire(self, invocation: Invocation) -> None:
        if invocation in self._waiting:
            self.counters.limit(ExceededWallTime.code)
            self._drop(invocation, invocation.budget.too_much_time())
        elif (live := self._members.get(invocation.isolate or 0)) is not None:
            live.expire(invocation)

    def plan_soon(self) -> None:
        """Something has changed: look again in the loop's next turn."""
        if not self._planned and not self._closed:
            self._planned = True
            self.loop.call_soon(self._planned_now)

    def _planned_now(self) -> None:
        self._planned = False
        if not self._closed:
            self._plan()

    def _set_reaper(self) -> None:
        """Look again when the first request has waited too long, or the first idle isolate been idle for too long."""
        due = [invocation.since + self.policy.queue_s for invocation in self._waiting]
        due += [
            live.idle_since + self.policy.idle_s
            for live in self._members.values()
            if live.state is State.IDLE
        ]
        if due:
            self._reaper.by(min(due))

    def _reap(self) -> None:
        if not self._closed:
            self._plan()

    # what isolates report --------------------------------------------------------------------------------------------

    def keep(self, commit: Commit, kept: Callable[[Exception | None], None]) -> None:
        """A Durable Object has written; call `kept` when that is durable, or cannot be."""
        del commit
        kept(BadEffect("a worker that is no Durable Object wanted to store something"))

    def spares(self, live: Live) -> bool:
        """Whether an idle isolate hibernates, and need not end."""
        del live
        return False

    def paused(self, live: Live) -> None:
        """A step of an isolate is over, and all that it asked for is done. Told only if it `hibernates`."""

    def introduce(self, events: Events) -> None:
        """Tell a new isolate what it is; may be called on another thread."""
        events.init(self.environment, self.meta)

    def start_isolate(self, live: Live) -> AnyIsolate:
        """A new isolate of this worker, for this one; may be called on another thread."""
        del live
        assert self._image is not None
        slots = self.fleet.slots if self.policy.fresh else None
        return self._image.isolate(self.limits, slots)

    def memory(self) -> int:
        """Bytes that it is reckoned at: its isolates, and the bodies that wait with its requests."""
        waiting = sum(invocation.size for invocation in self._waiting)
        sources = self._image.sources if self._image is not None else None
        kept = len(sources.frame) if sources is not None else 0
        return waiting + kept + sum(map(self.fleet.cost_of, self._members.values()))

    def rested(self, live: Live) -> None:
        """An isolate has nothing left to do."""
        self.fleet.rests(live)
        if self._waiting.waiting or self._reaper.at > live.idle_since + self.policy.idle_s:
            self._set_reaper()  # otherwise what becomes idle now is due later

    def freed(self) -> None:
        """An isolate has room again, or takes nothing new."""
        if self._waiting.waiting:
            self.plan_soon()
        if self._quiet is not None:
            self._tell_quiet()

    def ended(self, live: Live, again: Sequence[Invocation]) -> None:
        """An isolate is dead. `again` wait at the front of the queue, as they did before."""
        if live.stepping:
            self._stopping.add(live)
        self._members.pop(live.id, None)
        self.fleet.died(live)
        for invocation in reversed(again):
            if self._closed:
                invocation.fail(Overloaded(f"worker {self.name!r} is closed"))
                invocation.finish()
                continue
            invocation.again(self.loop.time())
            self._waiting.put_back(invocation)
        if not self._members and not self._closed:
            self.fleet.sleepers.emptied(self)
        self.freed()

    def stopped(self, live: Live) -> None:
        """The last step of a dead isolate is over."""
        self._stopping.discard(live)
        if not self._stopping and self._all_stopped is not None:
            self._all_stopped.set()

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """Run something for an isolate: a call, a body to feed, something to close. `aclose` waits for it."""
        task = self.loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)
        return task

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.report(error)

    # the end ---------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether any request waits or any invocation runs, its `waitUntil` included, or tail workers are told."""
        tails = self.options.tails
        return self.runs or (tails is not None and tails.telling)

    @property
    def runs(self) -> bool:
        """The same without tail workers."""
        return self._runs_itself or self.objects.busy

    @property
    def _runs_itself(self) -> bool:
        return bool(self._waiting) or any(live.invocations for live in self._members.values())

    @property
    def occupied(self) -> bool:
        """Whether it is busy, or has Durable Objects in memory."""
        return len(self.objects) > 0 or self.busy

    async def quiet(self) -> None:
        """Wait until it is not busy. It may become busy again. Its WebSockets are closed, or they would hold it up."""
        for live in self._members.values():
            live.sockets.shut(RESTART)
        while self.runs:
            self._quiet = self._quiet or asyncio.Event()
            await (self.objects.quiet() if self.objects.busy else self._quiet.wait())
        if self.options.tails is not None:
            await self.options.tails.quiet()

    def _tell_quiet(self) -> None:
        if self._quiet is not None and not self._runs_itself:  # `quiet` looks what its objects do
            self._quiet.set()
            self._quiet = None

    async def aclose(self) -> None:
        """End all isolates; requests that still wait are refused. Returns when nothing of it runs any more."""
        self._closed = True
        await self.objects.aclose()
        self._reaper.close()
        self._expiries.close()
        self.fleet.hungers(self, False)
        while self._waiting:
            self._drop(next(iter(self._waiting)), Overloaded(f"worker {self.name!r} is closed"))
        for live in tuple(self._members.values()):
            live.end()
        if self._stopping:
            self._all_stopped = self._all_stopped or asyncio.Event()
            await self._all_stopped.wait()
        while self._tasks or self.clearing:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(0))
        self._release()
        self.fleet.dismiss(self)

    def _release(self) -> None:
        if self._image is not None:
            self.fleet.release(self._image)

    def statistics(self) -> dict[str, Any]:
        """How things stand."""
        states = [live.state.value for live in self._members.values()]
        return {"isolates": len(states), "waiting": len(self._waiting), "states": states}

    def measure(self, snapshot: Snapshot) -> None:
        """Add how things stand to a snapshot: isolates, their memory, and what waits."""
        if self._members or self._waiting:
            measure_pool(self, self._members.values(), len(self._waiting), snapshot)
