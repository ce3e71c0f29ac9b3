"""An asyncio event loop without I/O: it runs what is ready, and tells the host when it wants to be woken.

The host steps the isolate; each step runs the loop until nothing is ready or its share of rounds is used up. Time
stands still inside a step, so a timer that is due within it was due when the step began.

The host says for which invocations a step is (`focus`), since they pay for it: what is ready for others waits for
theirs. Whose it is, its context tells.
"""

import asyncio
import heapq
import sys
import time
from asyncio import Future, events
from collections import deque
from functools import partial
from itertools import count

ROUNDS_PER_STEP = 200
"""Passes over the ready queue in one step. `while not done: await asyncio.sleep(0)` must let the host answer; and so
few that they take half a millisecond, which the host grants to the last step of whoever has used up its time: such a
loop is then ended between two steps, and costs its isolate nothing."""
MAX_DUE = 64
"""Invocations that one answer names as due, as on the host; the others are named when these have had their step."""


class Loop(asyncio.AbstractEventLoop):
    """Ready queue and timers. Tasks and futures are asyncio's own."""

    def __init__(self):
        self._ready = deque()
        self._held = deque()
        """Ready, but not in this step."""
        self._later = []
        """The same, whatever the step is for."""
        self._timers = []
        self._order = count()
        self._focus = None
        self._ran = None
        """For whom it ran last."""
        self._waking = None
        self._caught = None
        """Of the future that `wake` is at, what would have been made ready."""
        self._cancelled_timers = 0
        self._exception_handler = None
        self._task_factory = None
        self.owner = None
        """Called with each new task, so that an invocation knows the tasks that it started."""
        self.may_run = None
        """Called with a context and the focus of a step: whether its code runs in it."""
        self.payer = None
        """Called with a context: for which invocation its code runs; None if there is none at all."""
        self.closed = bool
        """Whether there are some for whom nothing runs: then those that nobody pays for are not due."""
        self.left = None
        """Called with numbers of invocations: those of them that are not over, or the oldest that is not."""

    # running ---------------------------------------------------------------------------------------------------------

    def focus(self, numbers):
        """The next `run` is for these invocations alone."""
        self._focus = frozenset(numbers)

    def run(self):
        """Run all that is ready, and the timers that are due."""
        ready, focus, may_run = self._ready, self._focus, self.may_run
        self._focus, self._ran = None, focus
        if self._held or self._timers:
            self._collect(focus)
        rounds = ROUNDS_PER_STEP
        while ready:
            if not rounds:
                self._held.extend(ready)
                ready.clear()
                break
            rounds -= 1
            for _ in range(len(ready)):
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                if (focus is not None or self.closed()) and not may_run(handle._context, focus):
                    self._held.append(handle)
                    continue
                try:  # as `handle._run()`, which would be one call more
                    handle._context.run(handle._callback, *handle._args)
                except BaseException as error:
                    self.failed(handle, error)
        if self._later:
            self._held.extend(self._later)
            self._later.clear()

    def wake(self, future, result):
        """Give a future that nobody but a task waits for its result, and run that at once. Where nothing else waits for
        its turn or its time, and all may run, a pass over what is ready would do no more."""
        self._waking = future
        try:
            future.set_result(result)
        finally:
            self._waking, caught, self._caught = None, self._caught, None
        if caught is None:
            return
        callback, (argument,), context = caught
        if self._focus is not None and not self.may_run(context, self._focus):
            self._held.append(events.Handle(callback, (argument,), self, context))
            return
        try:
            context.run(callback, argument)
        except BaseException as error:
            self.failed(events.Handle(callback, (argument,), self, context), error)

    def failed(self, handle, error):
        """A callback has raised."""
        message = "a task tried to end the program"
        if not isinstance(error, (SystemExit, KeyboardInterrupt)):
            try:
                message = f"Exception in callback {handle!r}"
            except BaseException:  # the program's own objects say who they are
                message = "Exception in a callback"
        self.call_exception_handler({"message": message, "exception": error, "handle": handle})

    def _collect(self, focus):
        """Make ready what was held, and the timers that are due: before what this step's events have made ready."""
        now, timers = self.time(), self._timers
        waiting, self._held = self._held, deque()
        later = []
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)
            if self._runs(timer[2], focus):
                timer[2]._scheduled = False
                waiting.append(timer[2])
            else:
                later.append(timer)
        for timer in later:
            heapq.heappush(timers, timer)
        for handle in reversed(waiting):
            (self._ready if self._runs(handle, focus) else self._held).appendleft(handle)

    def _runs(self, handle, focus):
        return (focus is None and not self.closed()) or self.may_run(handle._context, focus)

    def due(self, more=False):
        """When to run again, loop time, and for whom; None if only an event can make it go on. `more` says that those
        for whom it ran have not said all."""
        timers = self._timers
        if self._held or self._ready or more:
            numbers = self._payers([*self._ready, *self._held])
            if more:
                return [0.0, sorted({*numbers, *self.left(self._ran or ())})[:MAX_DUE]]
            if numbers or not self.closed():
                return [0.0, numbers]
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            return None
        if self.closed():
            mine = [timer for timer in timers if not timer[2]._cancelled and self._payers([timer[2]])]
            return [min(mine)[0], self._payers([min(mine)[2]])] if mine else None
        when, first = timers[0][0], []
        places = [0]
        for place in places:  # a heap: what is equal to the first lies below others that are
            if place < len(timers) and timers[place][0] == when:
                first.append(timers[place][2])
                places += (2 * place + 1, 2 * place + 2)
        return [when, self._payers(first)]

    def _payers(self, handles):
        numbers = {self.payer(handle._context) for handle in handles}
        numbers.discard(None)
        return sorted(numbers)[:MAX_DUE]

    def time(self):
        return time.monotonic()

    is_running = staticmethod(partial(bool, True))
    """Each task and each future asks this, and whether it debugs: to call what is written in C takes a third."""

    def is_closed(self):
        return False

    get_debug = staticmethod(bool)

    def set_debug(self, enabled):
        self.get_debug = partial(bool, bool(enabled))

    def run_forever(self):
        raise RuntimeError("the event loop of an isolate is always running; use `await`")

    def run_until_complete(self, future):
        if asyncio.iscoroutine(future):
            future.close()
        raise RuntimeError("the event loop of an isolate is always running; use `await`")

    def stop(self):
        raise RuntimeError("the event loop of an isolate cannot be stopped")

    def close(self):
        raise RuntimeError("the event loop of an isolate cannot be closed")

    async def shutdown_asyncgens(self):
        return None

    async def shutdown_default_executor(self, timeout=None):  # noqa: ASYNC109 - asyncio's signature
        return None

    # scheduling ------------------------------------------------------------------------------------------------------

    def call_soon(self, callback, *args, context=None):
        if self._waking is not None and args and args[0] is self._waking:  # which keeps no handle
            self._waking, self._caught = None, (callback, args, context)
            return None
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_next_step(self, callback, *args):
        """Call it in the next step: when all that this one gives out has left, or been kept."""
        handle = events.Handle(callback, args, self, None)
        self._later.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        timer = events.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        timer._scheduled = True
        return timer

    def _timer_handle_cancelled(self, handle):
        # A worker that sets and cancels a timeout per call must not pile up dead timers until they are due.
        self._cancelled_timers += 1
        if self._cancelled_timers > 100 and self._cancelled_timers * 2 > len(self._timers):
            self._timers[:] = [item for item in self._timers if not item[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    def create_future(self):
        return Future(loop=self)

    def create_task(self, coro, **options):
        factory = self._task_factory
        task = asyncio.Task(coro, loop=self, **options) if factory is None else factory(self, coro, **options)
        if self.owner is not None:
            self.owner(task)
        return task

    def set_task_factory(self, factory):
        self._task_factory = factory

    def get_task_factory(self):
        return self._task_factory

    def run_in_executor(self, executor, func, *args):
        """Run it here and now: there are no threads. The future is done when it is returned."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
            future.set_exception(error)
        return future

    def set_default_executor(self, executor):
        return None

    # exceptions ------------------------------------------------------------------------------------------------------

    def set_exception_handler(self, handler):
        self._exception_handler = handler

    def get_exception_handler(self):
        return self._exception_handler

    def default_exception_handler(self, context):
        import logging

        error = context.get("exception")
        logging.getLogger("asyncio").error(
            context.get("message") or "unhandled exception in the event loop",
            exc_info=(type(error), error, error.__traceback__) if error is not None else False,
        )

    def call_exception_handler(self, context):
        handler = self._exception_handler
        try:
            if handler is None:
                self.default_exception_handler(context)
            else:
                handler(self, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            sys.stderr.write(f"the exception handler of the event loop failed: {error!r}\n")


def refuse_another():
    """There is one loop, and it runs while a request is handled."""
    raise RuntimeError(
        "an isolate has one event loop, and it runs inside handlers: at the top level nothing can be awaited"
    )


def _finalize_async_generator(generator):
    loop = events._get_running_loop()
    if loop is not None:
        loop.create_task(generator.aclose())


def install(loop):
    """Make it the running loop for good: every step of the isolate's life runs inside it."""
    events._set_running_loop(loop)
    sys.set_asyncgen_hooks(finalizer=_finalize_async_generator)
