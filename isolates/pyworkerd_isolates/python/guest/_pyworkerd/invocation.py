"""One run of a handler: its number, its tasks, what it has promised to finish after it answered."""

import asyncio
from contextvars import ContextVar

from . import outbox

logs = None
"""The module of that name, which is made of this one: `entry` fills it in."""

_current = ContextVar("pyworkerd.invocation")
running = {}
"""Invocations that have begun and are not done, by number."""


class Invocation:
    """What the guest knows of one invocation. `done` is reported when nothing of it is left."""

    __slots__ = ("_open", "bodies", "logged", "main", "number", "tasks")

    def __init__(self, number):
        self.number = number
        self.logged = 0
        self.main = None
        self.tasks = None
        self.bodies = None
        self._open = 1  # its handler
        running[number] = self

    def hold(self):
        """Something more must finish before this invocation is done: the handler, a body, a `waitUntil`."""
        self._open += 1

    def release(self):
        """One of those has finished."""
        self._open -= 1
        if not self._open:
            self.end()

    def end(self):
        """Nothing of it is left."""
        if running.pop(self.number, None) is None:
            return
        logs.finish(self)
        if self.bodies:
            for body in self.bodies:
                body.cancel()
        outbox.effects.append(["done", self.number])
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
        """A body that comes in for this invocation: what is left of it at the end, nobody will read."""
        if self.bodies is None:
            self.bodies = []
        self.bodies.append(body)

    def wait_until(self, awaitable):
        """Keep the invocation alive until this is done; errors are logged, not raised."""
        task = asyncio.ensure_future(awaitable)
        self.hold()
        if self.tasks is not None:
            self.tasks.discard(task)
        task.add_done_callback(self._waited)

    def _waited(self, task):
        if self.tasks is not None:
            self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            import logging

            error = task.exception()
            logging.getLogger("workers").error(
                "a waitUntil() task failed", exc_info=(type(error), error, error.__traceback__)
            )
        self.release()

    def cancel(self):
        """The caller has gone: the handler is cancelled where it waits; promised work goes on."""
        if self.main is not None:
            self.main.cancel("the caller of this invocation has gone")


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
