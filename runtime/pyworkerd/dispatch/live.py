"""One live isolate at work: events that wait for its next step, and what is done about the effects that come out.

Everything here runs on the event loop's thread; only the step itself may run on another (`placement`). Events that
arrive while a step runs wait for the next one (`mail`); who shares it and who pays is decided in `sharing`.

Rule 1: whatever the guest names (invocation, stream, call, capability) is looked up in this isolate's own tables.
Rule 2: an effect that breaks the protocol ends the isolate, and nothing else.
Rule 3: when an isolate dies, each of its invocations is either answered with an error, or run again in another one
        if no effect of it has left yet.
Rule 4: what a Durable Object has written is durable before anything of the step leaves, and before the next one.
Rule 5: an invocation that passes a limit over several steps is cancelled; if that does not end it, its isolate is.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import cpu_clock
from pyworkerd_isolates.errors import ClosedIsolate, HeapError, Trap
from pyworkerd_isolates.heaps import Heap
from pyworkerd_isolates.lifecycle import TAKES_WORK, Cause, State, next_state
from pyworkerd_isolates.protocol import Commit, Done, Effect, Events, Output, Replied, Result, Wake

from pyworkerd.errors import IsolateLost, LimitExceeded, PyworkerdError, WorkerError

from .answers import Answers
from .beginning import begin
from .blame import blame
from .bodies import Bodies
from .calls import Calls
from .crowd import Crowd
from .effects import ENDINGS, PERFORM
from .failures import translate
from .giving_up import fail_begun, lose
from .invocation import Invocation, LentWork
from .mail import Mail
from .room import Room
from .sharing import account_of, charge, settle
from .sockets import RESTART, Sockets
from .stubs import Stubs

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from pyworkerd_isolates.heaps import Heaps
    from pyworkerd_isolates.kinds import AnyIsolate
    from pyworkerd_isolates.native import Instance
    from pyworkerd_isolates.pool import Policy

    from .worker import Worker

GRACE_S: Final = 1.0
"""How long a cancelled invocation may take to wind up before its isolate is ended."""
GRACE_MS: Final = 10.0
"""CPU time for the same."""
INLINE_MS: Final = 0.0
"""How long a step may hold the loop's thread before it goes on in another: one to two epochs, that is milliseconds."""
PERFORM_S: Final = 0.001
"""How long effects of one step are performed before others have their turn."""
# What every step asks for: before Python 3.12 it takes as long as a function's call to find a member of an Enum.
_BUSY, _DEAD, _DRAINING, _INVOKE, _REST = State.BUSY, State.DEAD, State.DRAINING, Cause.INVOKE, Cause.REST


class Live:
    """An isolate with its invocations, streams and calls. Made by `Worker`, which hears when it rests or dies."""

    def __init__(self, worker: Worker, number: int) -> None:
        self.id = number
        self.loop = worker.loop
        self.state = State.STARTING
        self.idle_since = 0.0
        self.stepping = False
        self.asleep = False
        """Its memory is put away, and has to be had back before a step."""
        self.exclusive = False
        """It belongs to one invocation, and takes no other meanwhile."""
        self.invocations: dict[int, Invocation] = {}
        self.room: Room = Room(changed=partial(worker.fleet.holds, number))
        self.crowd: Crowd = Crowd(self.loop, self.room.hold)
        self.bodies: Bodies = Bodies(self)
        self.sockets: Sockets = Sockets(self, worker)
        self.stubs: Stubs = Stubs(self, worker)
        self.calls: Calls = Calls(self, self.bodies, self.sockets, self.stubs, worker)
        self.answers: Answers = Answers(self, worker)
        self._worker = worker
        self._counters = worker.counters
        self._turns = worker.fleet.turns
        self._isolate: AnyIsolate | None = None
        self._growth = 0
        """Bytes by which its memory had grown after the last step."""
        self._mail = Mail()
        self._in_step: list[Invocation] = []
        """Those that the last step was for."""
        self._batch: tuple[Events, float] | None = None
        """What the next slice begins a step with: events, and its budget."""
        self._result: Output | Exception | None = None
        """What the step ended with."""
        self._effects: deque[Effect] = deque()
        """What the last step asked for and is not done yet."""
        self._scheduled = False
        self._wake: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<isolate {self.id} of {self._worker.name}: {self.state.value}, {len(self.invocations)} invocations>"

    @property
    def load(self) -> int:
        """Invocations that count: those whose answer is an open WebSocket do not."""
        return len(self.invocations) - self.sockets.resting

    # work comes in ---------------------------------------------------------------------------------------------------

    def take(self, invocation: Invocation) -> None:
        """Begin an invocation with one of the next steps."""
        number = invocation.id
        self.invocations[number] = invocation
        invocation.isolate = self.id
        # Something begins: what belongs to none may be logged.
        self.answers.stray_log_left = self._worker.log_bytes
        if type(invocation.work) is not LentWork:  # which the isolate is there for already
            self.exclusive = invocation.alone
            if self.state is not _BUSY:
                self._move(_INVOKE)
        self._mail.begin(number, partial(begin, self, invocation))
        if not self._scheduled:
            self._schedule()

    def welcomes(self, policy: Policy) -> bool:
        """Whether a request that nobody is before may join what waits for the next step, without a plan being made.

        Many requests in one short step are cheaper than one in each isolate. Where steps are not short, or one runs
        just now, `plan()` finds the isolate that answers soonest.
        """
        return (
            not self.stepping
            and not self.exclusive
            and not policy.fresh
            and len(self.invocations) < policy.concurrency
            and (self.state is _BUSY or self.state in TAKES_WORK)
            and self._worker.placement.inline
        )

    def cancel(self, invocation: Invocation) -> None:
        """Its caller has gone. What it promised to finish it may still finish."""
        if invocation.id not in self.invocations:
            return
        if not invocation.begun:
            self._forget(invocation)
            self._schedule()
            return
        self.send(invocation.id, partial(Events.cancel, invocation=invocation.id))

    def _move(self, cause: Cause) -> None:
        self.state = next_state(self.state, cause)
        if self._isolate is not None:
            self._isolate.state = self.state

    # the door, for bodies and calls ----------------------------------------------------------------------------------

    def send(self, invocation: int | None, event: Callable[[Events], None]) -> None:
        """See `streams.Door`."""
        if self.state is _DEAD:
            return
        if invocation in self.invocations:
            self._mail.send(invocation, event)
            self._schedule()
        else:
            self._mail.enclose(event)  # nobody would pay for a step

    def spawn(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """See `streams.Door`."""
        return self._worker.spawn(work, context)

    def clear(self, job: Callable[[], object]) -> None:
        """See `streams.Door`."""
        self._worker.clearing.add(job)

    def rested(self, invocation: Invocation) -> None:
        """See `sockets.SocketDoor`."""
        if self.state is not State.DEAD and not invocation.done:
            invocation.timer = self.loop.call_later(invocation.budget.wall_ms / 1000, self.expire, invocation)

    def report(self, error: BaseException) -> None:
        """See `streams.Door`."""
        self._worker.report(error)

    # stepping --------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not (self._scheduled or self.stepping or self._effects) and self.state is not _DEAD:
            self._scheduled = True
            self._turns.ready(self._worker.loop_account, self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self.state is _DEAD or self.stepping or self._effects:
            return
        if not self.invocations:
            self._rest()
        worker, mail = self._worker, self._mail
        if not mail.waiting or (self.asleep and not worker.fleet.hibernation.admits(self)):
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        chosen, numbers, budget_ms = settle(mail.waiting, self.invocations, worker.placement)
        self._in_step = chosen
        self._batch = mail.take(numbers, all_of_them=len(self.invocations) == 1), budget_ms
        if self.crowd.waiting:
            self.crowd.leaves(numbers)
        if self.calls.stale:
            self.calls.renew()
        if self.stubs.stale:
            self.stubs.renew()
        self.stepping = True
        if worker.placement.inline and self.go_on(INLINE_MS):
            self.over()
        else:
            worker.threads.submit(account_of(worker, chosen), self)

    def go_on(self, slice_ms: float) -> bool:
        """See `threads.Slices`. The first slice of all starts the isolate."""
        try:
            if (self._isolate is None or self.asleep or self.state is _DEAD) and not self._is_up(slice_ms):
                return False
            isolate, batch = self._isolate, self._batch
            assert isolate is not None
            if batch is not None:
                self._batch = None
                isolate.begin(batch[0], batch[1])
            self._result = isolate.go_on(slice_ms)
        except Exception as error:  # noqa: BLE001 - told apart when it is over
            self._result = error
        return self._result is not None

    def _is_up(self, slice_ms: float) -> bool:
        """Whether its step can go on: it has been started by now, or has its memory back."""
        if self.state is State.DEAD:
            raise ClosedIsolate("it ended before its step did")
        if self._isolate is None:
            self._isolate = self._worker.start_isolate(self)
            assert self._batch is not None
            self._worker.introduce(self._batch[0])
        self.asleep = self.asleep and not self._isolate.wake(wait=slice_ms > INLINE_MS)
        return not self.asleep

    def over(self) -> None:
        """See `threads.Slices`."""
        result, self._result = self._result, None
        assert result is not None
        self.stepping = False
        isolate, worker, chosen = self._isolate, self._worker, self._in_step
        used_ms = 0.0
        if isolate is not None:
            used_ms, counters = isolate.last_step_ms, self._counters
            counters.steps += 1
            counters.cpu_ns += int(used_ms * 1e6)
        if self.state is not _BUSY and not self._is_there(result):
            return
        if isolate is None:
            assert isinstance(result, BaseException)
            self.report(result)
            self._died(IsolateLost("its isolate could not be started"), chosen)
            return
        worker.placement.record(used_ms, len(chosen))
        if self.sockets.resting:
            for invocation in chosen:
                if invocation.resting:
                    worker.allowance.renew(invocation, self.loop.time(), inside=invocation.inside)
        if len(chosen) == 1:
            chosen[0].cpu_left_ms -= used_ms
        else:
            charge(chosen, used_ms)
        if isinstance(result, BaseException):
            if isinstance(reached := translate(result, worker.limits), LimitExceeded):
                self._counters.limit(reached.code)
            self._died(result, chosen)
            return
        isolate.state = self.state
        if (growth := isolate.growth) != self._growth:
            self._growth = growth
            worker.fleet.grown(self, self.cost)
        self._effects.extend(result.effects)
        self._perform(isolate, result.wake)

    def _is_there(self, result: Output | Exception) -> bool:
        """Whether it is alive and has its memory, after a step that began when it was not simply busy."""
        if self.state is State.DEAD:
            if self._isolate is not None:
                self._isolate.stop()
            self._worker.stopped(self)
            return False
        if isinstance(result, HeapError):
            lose(self, result)
            return False
        if self.state is State.HIBERNATED:
            self._counters.wakes += 1
            self._move(Cause.WAKE)
        return True

    def _perform(self, isolate: AnyIsolate, wake: Wake | None) -> None:
        """Do what the step asked for; what a turn has no time for in the next one."""
        effects = self._effects
        # What ends the only invocation of a step is paid for by nobody.
        began = None if len(effects) == 1 and type(effects[0]) in ENDINGS else cpu_clock.begin()
        end = perf_counter() + PERFORM_S if len(effects) > 1 else inf
        try:
            while effects and self.state is not _DEAD:
                effect = effects.popleft()
                if type(effect) is Commit:
                    self._keep(effect, partial(self._perform, isolate, wake))
                    return
                PERFORM[type(effect)](self, effect)
                if effects and perf_counter() > end:
                    rest = partial(self._perform, isolate, wake)
                    self._turns.ready(self._worker.loop_account, rest)
                    return
        except Exception as error:  # noqa: BLE001 - the isolate is ended, whatever it was
            self._died(error, self._in_step)
            return
        finally:
            if began is not None and self.invocations:
                charge(self._in_step, cpu_clock.used_ns(began) / 1e6)
        self._after_step(isolate, wake)

    def _keep(self, commit: Commit, go_on: Callable[[], None]) -> None:
        """Nothing of a step leaves, and no other begins, before what it wrote is durable (the output gate)."""
        self._effects.appendleft(commit)  # as long as there are effects, no step begins
        self.room.held += len(commit.pages)
        for invocation in self._in_step:
            invocation.touched_outside = True
        self._worker.keep(commit, partial(self._kept, commit, go_on))

    def _kept(self, commit: Commit, go_on: Callable[[], None], error: Exception | None) -> None:
        self.room.held -= len(commit.pages)
        if self.state is State.DEAD:
            return
        if error is not None:
            fail_begun(self, error)
            self._died(error, self._in_step)
            return
        self._effects.popleft()
        go_on()

    def _after_step(self, isolate: AnyIsolate, wake: Wake | None) -> None:
        for invocation in self._in_step:
            if invocation.cpu_left_ms <= 0:
                self.wind_up(invocation, invocation.budget.too_much_cpu())
        self._in_step = []  # what has ended must not be kept
        if not self.invocations:
            self._rest()
        if self.state is _DEAD:
            return
        if wake is not None and self.invocations:
            # Without an invocation nothing runs, whatever timers its code may have left behind.
            if (delay := wake.time - isolate.now_ns() / 1e9) > 0:
                self._wake = self.loop.call_later(delay, self.due, wake)
            else:
                self.due(wake)
        if self._mail.waiting:
            self._schedule()
        if self._worker.hibernates:
            self._worker.paused(self)

    def due(self, wake: Wake) -> None:
        """It wanted to run again by now."""
        self._mail.wake(number for number in wake.invocations if number in self.invocations)
        self.look_again()

    # idle, and hibernating -------------------------------------------------------------------------------------------

    @property
    def cost(self) -> int:
        """Bytes that it is reckoned at while its memory is there."""
        isolate = self._isolate
        return self._worker.cost + (isolate.growth if isolate is not None else 0) + self.room.held

    @property
    def patience_s(self) -> float:
        """How long one that has not begun waits for it."""
        return self._worker.policy.queue_s

    def look_again(self) -> None:
        """Go on if something waits, now that it may be possible."""
        if self._mail.waiting:
            self._schedule()

    def still_until(self) -> float:
        """Loop time until which it has nothing to do, as far as it knows; 0 if it has something to do now."""
        busy = self.stepping or self._scheduled or self._effects or self._mail.waiting
        if busy or self._isolate is None or self.state not in (State.IDLE, State.BUSY):
            return 0.0
        return self._wake.when() if self._wake is not None else inf

    def trim(self) -> None:
        """Give back what of its memory is the image's again, if it is idle."""
        if self._isolate is not None and self.state is State.IDLE and self.still_until():
            self._isolate.trim()

    def put_away(self, heaps: Heaps) -> Heap:
        """Write down what it has in memory, on another thread; `stepping` keeps it from its next step meanwhile."""
        assert self._isolate is not None
        return self._isolate.put_away(heaps)

    @property
    def wanted(self) -> bool:
        """Whether something waits for its next step."""
        return bool(self._mail.waiting)

    def lies_down(self, heaps: Heaps, result: Heap | BaseException, goes_on: bool) -> Instance | None:
        """Its memory is in this heap, or could not be put away. If it hibernates, returns what is to be closed."""
        self.stepping = False
        isolate = self._isolate
        assert isolate is not None
        heap = result if isinstance(result, Heap) else None
        if heap is not None and not goes_on and self.state is not State.DEAD:
            memory = isolate.hibernate(heaps, heap)
            self.asleep = True
            self._counters.hibernations += 1
            self._move(Cause.HIBERNATE)
            self.look_again()
            return memory
        if heap is not None:
            heaps.drop(heap)
        if self.state is State.DEAD:
            isolate.stop()
            self._worker.stopped(self)
        elif isinstance(result, Trap):
            self._died(result, [])
        else:
            self.look_again()
        return None

    # effects ---------------------------------------------------------------------------------------------------------

    def done(self, effect: Done | Result | Replied) -> None:
        """Nothing of an invocation is left."""
        invocation = self.invocations.get(effect.invocation)
        if invocation is not None:
            if invocation.answer is not None:
                invocation.fail(WorkerError("the handler ended without an answer"))
            self._forget(invocation)

    def _forget(self, invocation: Invocation) -> None:
        del self.invocations[invocation.id]
        if self._mail.waiting:
            self._mail.forget(invocation.id)
        if self.crowd.waiting:
            self.crowd.leaves((invocation.id,))
        invocation.finish()
        if invocation.held:
            self.bodies.release(invocation)
            self.calls.release(invocation)
            self.sockets.release(invocation)
            self.stubs.release(invocation)
        self._worker.freed()

    # the end ---------------------------------------------------------------------------------------------------------

    def expire(self, invocation: Invocation) -> None:
        """It took longer than its wall time."""
        self.wind_up(invocation, invocation.budget.too_much_time())

    def wind_up(self, invocation: Invocation, error: PyworkerdError) -> None:
        """It passed a limit: answer and cancel; if that was done before, end the isolate."""
        if invocation.id not in self.invocations:
            return
        if invocation.winding_up:
            self._died(error, [invocation])
            return
        self._counters.limit(error.code)
        invocation.winding_up = True
        invocation.cpu_left_ms, invocation.shared_left_ms = GRACE_MS, 0.0
        invocation.fail(error)
        invocation.stop_clock()
        invocation.timer = self.loop.call_later(GRACE_S, self.expire, invocation)
        self.bodies.break_off(invocation, error)
        self.sockets.break_off(invocation)
        self.stubs.break_off(invocation)
        self.cancel(invocation)

    def give_way(self, *, end: bool = True) -> bool:
        """Others need the room, or it was idle for long: hibernate, or `end`. Returns whether it does."""
        spared = self._worker.spares(self)
        if end and not spared:
            self.evict()
        return end or spared

    def evict(self) -> None:
        """End it: others need the room, or it was idle for long."""
        self._counters.evictions += 1
        self.end()

    def retire(self) -> None:
        """Take nothing new; end when what it holds has ended. Its WebSockets are closed: they would hold it up."""
        if self.state not in (State.DEAD, State.DRAINING):
            self._move(Cause.DRAIN)
            self.sockets.shut(RESTART)
            self._worker.freed()

    def _rest(self) -> None:
        self.exclusive = False
        if (state := self.state) is _DRAINING or self._worker.policy.fresh:
            self.end()
        elif state is _BUSY:
            self._move(_REST)
            self.idle_since = self.loop.time()
            self._worker.rested(self)
        elif state is State.HIBERNATED:
            self._worker.fleet.hibernation.rests(self)

    def _died(self, error: BaseException, suspects: list[Invocation]) -> None:
        """The isolate is dead, because of one of these."""
        self._counters.lost += 1
        self.end(blame(self, self._worker, error, suspects))

    def end(self, again: list[Invocation] | None = None) -> None:
        """Give everything back. Invocations in `again` go back to the worker's queue."""
        if self.state is State.DEAD:
            return
        self.state = State.DEAD
        if self.asleep and not self.stepping:
            assert self._isolate is not None
            self._isolate.end()
        elif self._isolate is not None and not self.stepping:
            # Unmapping takes a tenth of a millisecond: after the answers that this turn has given have been sent.
            self._worker.loop.call_soon(self._isolate.end)
        if self._wake is not None:
            self._wake.cancel()
        self.calls.end()
        self.bodies.end()
        self.sockets.end()
        self.stubs.end()
        self.clear(self.crowd.disperse)
        for invocation in self.invocations.values():
            if invocation not in (again or ()):
                invocation.fail(IsolateLost("its isolate was ended"))
                invocation.finish()
        self.invocations.clear()
        self._mail.clear()
        self._effects.clear()
        self._in_step = []
        self._worker.ended(self, again or [])
