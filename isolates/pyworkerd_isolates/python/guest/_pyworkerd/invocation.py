"""One run of a handler: its number, its tasks, what it has promised to finish after it answered."""

import asyncio
import time
from contextvars import ContextVar, copy_context

from . import outbox

logs = None
unfinished = frozenset()
"""The module of that name, which is made of this one, and whose lines are not at their end: `step` fills them in."""

stub_kind = None
"""The class of stubs, which is the SDK's: `step` fills it in."""

_current = ContextVar("pyworkerd.invocation")
gate = None
"""The invocation that alone may run (`objects`); None if all may."""
running = {}
"""Invocations that have begun and are not done, by number."""
LOOK_AFTER = 64
"""Bodies and WebSockets after which an invocation forgets those that are over: a WebSocket can keep it alive for days.
"""
GONE = "the caller of this invocation has gone"
LOG_S = 60
"""Seconds after which an invocation that a WebSocket keeps alive may log anew."""


class Invocation:
    """What the guest knows of one invocation. `done` is reported when nothing of it is left."""

    __slots__ = (
        "_log_since",
        "bodies",
        "forsaken",
        "logged",
        "main",
        "number",
        "open",
        "promised",
        "pumps",
        "stubs",
        "tasks",
    )

    def __init__(self, number):
        self.number = number
        self.logged = 0
        self._log_since = None
        self.main = None
        self.tasks = None
        self.bodies = None
        self.stubs = None
        self.pumps = None
        self.promised = 0
        self.forsaken = False
        self.open = 1  # its handler
        running[number] = self

    def hold(self):
        """Something more must finish before this invocation is done: the handler, a body, a `waitUntil`."""
        self.open += 1

    def release(self):
        """One of those has finished."""
        self.open -= 1
        if not self.open:
            self.end()

    def returns(self, data):
        """Its method has returned this value, encoded. Mostly nothing else is left of it, and one effect says both."""
        if self.open > 1 or self.bodies or self.stubs or self.tasks or unfinished:
            outbox.effects.append(f'["return",{self.number},{outbox.blob(data)}]')
        elif running.pop(self.number, None) is not None:  # so that `end` has nothing to do
            outbox.effects.append((self.number, data))

    def replies(self, head, body):
        """The same of its handler, which has answered with this head, as JSON without brackets, and these bytes."""
        if self.open > 1 or self.bodies or self.stubs or self.tasks or unfinished:
            outbox.effects.append(f'["respond",{self.number},{str(head, "ascii")},["b",{outbox.blob(body)}]]')
        elif running.pop(self.number, None) is not None:
            outbox.effects.append((self.number, head, body))

    def end(self):
        """Nothing of it is left."""
        if running.pop(self.number, None) is None:
            return
        if unfinished and self in unfinished:
            logs.finish(self)
        if self.bodies:
            for body in self.bodies:
                body.abandon()
        while self.stubs:  # what is disposed of may let go of others, and lend more
            self.stubs.pop().end()
        outbox.effects.append(f'["done",{self.number}]')
        if self.tasks:
            for task in self.tasks:
                task.cancel()

    def adopt(self, task):
        """A task that this invocation's code started: it ends with the invocation, as on the platform."""
        if self.tasks is None:
            self.tasks = set()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def receives(self, body):
        """A body or a WebSocket that comes in for this invocation: what is left of it at the end, nobody will read."""
        if self.bodies is None:
            self.bodies = []
        elif not len(self.bodies) % LOOK_AFTER:
            self.bodies[:] = [each for each in self.bodies if not each.over]
        self.bodies.append(body)

    def wait_until(self, awaitable):
        """Keep the invocation alive until this is done; errors are logged, not raised."""
        self.keep(asyncio.ensure_future(awaitable), "a waitUntil() task failed")

    def keep(self, task, failure):
        """Keep the invocation alive until a task is done. `failure` is what the log says if it raises."""
        self.hold()
        self.promised += 1
        if self.tasks is not None:
            self.tasks.discard(task)

        def done(task):
            if self.tasks is not None:
                self.tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.report(failure, task.exception())
            self.promised -= 1
            if self.forsaken:
                self._forsake()
            self.release()

        task.add_done_callback(done)

    def sends_in(self, task):
        """A task that sends a body, and that the invocation waits for."""
        if self.pumps is None:
            self.pumps = set()
        self.pumps.add(task)
        task.add_done_callback(self.pumps.discard)

    def report(self, what, error):
        """Log a failure that nobody else hears of. One for want of memory ends the isolate, as in a handler."""
        if isinstance(error, MemoryError) and self.number in running:
            error.__traceback__ = error.__context__ = error.__cause__ = None
            outbox.effects.append(["fail", self.number, "exception", "MemoryError", "", ""])
        context = copy_context()
        context.run(enter, self)
        context.run(_log, what, error)

    def within(self, function, argument, failure):
        """Call a function as this invocation's code. `failure` is what the log says if it raises."""
        context = copy_context()
        context.run(enter, self)
        try:
            context.run(function, argument)
        except BaseException as error:  # whatever it is, the invocation goes on
            self.report(failure, error)

    def soon(self, function, *arguments):
        """Call a function as this invocation's code, when its turn has come."""
        context = copy_context()
        context.run(enter, self)
        asyncio.get_running_loop().call_soon(function, *arguments, context=context)

    def renew_log(self):
        """Let an invocation of long life log anew every minute."""
        now = time.monotonic()
        if self._log_since is None:
            self._log_since = now
        elif now - self._log_since >= LOG_S:
            self._log_since = now
            self.logged = 0

    def cancel(self):
        """The caller has gone: the handler is cancelled where it waits; promised work goes on."""
        self.forsaken = True
        if self.main is not None:
            self.main.cancel(GONE)
        self._forsake()

    def _forsake(self):
        """A body that goes with a call may wait for a reader that waits for us, and so may a stream for whoever writes
        to it: without a caller, only what was promised is worth that."""
        if self.promised:
            return
        for task in tuple(self.pumps or ()):
            task.cancel(GONE)
        for each in tuple(self.stubs or ()):
            each.forsake()


def _log(what, error):
    import logging

    logging.getLogger("workers").error(what, exc_info=(type(error), error, error.__traceback__))


enter = _current.set
"""Make an invocation the current one for this context and everything that is started from it."""


def current():
    """The invocation whose code runs; RuntimeError at the top level, where there is none."""
    invocation = _current.get(None)
    if invocation is None:
        raise RuntimeError(
            "this can only be used while a request is handled: at the top level of a worker there is no I/O"
        )
    return invocation


def current_or_none():
    """The invocation whose code runs, or None."""
    return _current.get(None)


def owner(task):
    """For the event loop: tasks belong to the invocation that started them."""
    invocation = _current.get(None)
    if invocation is not None:
        invocation.adopt(task)


def payer(context):
    """For the event loop: the invocation that code of this context runs for. What one has left behind that is over, the
    oldest pays for; None if there is none."""
    invocation = context.get(_current)
    if gate is not None and invocation is not gate:
        return None  # nobody pays for what must not run
    if invocation is not None and invocation.number in running:
        return invocation.number
    return next(iter(running), None)


def may_run(context, focus):
    """For the event loop: whether code of this context runs in a step that is for these invocations. What one of them
    leaves behind when it ends does, and what nobody is left to pay for."""
    invocation = context.get(_current)
    if gate is not None and invocation is not gate:
        return False
    if focus is None or (invocation is not None and invocation.number in focus):
        return True
    number = payer(context)
    return number is None or number in focus


def left(numbers):
    """For the event loop: those of these invocations that are not over; if there are none, the oldest that is not."""
    if gate is not None:
        return [gate.number]
    return [number for number in numbers if number in running] or list(running)[:1]


def closed():
    """For the event loop: whether only one invocation may run."""
    return gate is not None
