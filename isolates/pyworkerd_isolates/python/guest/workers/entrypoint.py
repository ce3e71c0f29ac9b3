"""What a worker's own code derives from and decorates with."""

import contextlib
import functools

from _pyworkerd.environment import env
from _pyworkerd.invocation import current


class WorkerEntrypoint:
    """Base of a worker's exported classes. `Default` is the default export; the name of any other is its entrypoint.

    One object is made for each invocation. Handlers (`fetch`) are found by name and may leave out trailing
    arguments; every other public method can be called over RPC.
    """

    def __init__(self, ctx, env):
        self.ctx = ctx
        self.env = env


def handler(function):
    """Mark a module-level `on_fetch` and its kind. Its arguments already are what the SDK promises."""

    @functools.wraps(function)
    def handle(*arguments):
        return function(*arguments)

    return handle


def wait_until(awaitable):
    """`ctx.wait_until` of the invocation that runs."""
    current().wait_until(awaitable)


@contextlib.contextmanager
def patch_env(values=None, /, **named):
    """Override names of `env` within a block, for tests."""
    replaced = {**dict(values or {}), **named}
    table = vars(env)
    before = dict(table)
    table.update(replaced)
    try:
        yield
    finally:
        table.clear()
        table.update(before)


def import_from_javascript(name):
    """There is no JavaScript in a Python worker's isolate."""
    raise ImportError(f"cannot import {name!r}: Python workers run without a JavaScript engine here")
