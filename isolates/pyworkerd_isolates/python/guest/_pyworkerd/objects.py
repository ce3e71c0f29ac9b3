"""The Durable Object that this isolate is, if it is one: its one instance, and the gate before it.

Invocations of an object enter in the order in which they came. While the gate is closed (`block_concurrency_while`)
none enters, and nothing runs but for the invocation that closed it: neither what is ready for others nor their timers.
The host need not know: it is not told of those that have to wait (see `loop.due`).
"""

import asyncio
from collections import deque

from . import environment, invocation, outbox, storage, worker
from .invocation import current

BLOCK_S = 30
"""How long the gate may be closed (Workers: 30 s, then the object is reset)."""
MAX_MESSAGE = 8192

this = None
"""The `Object`, from the isolate's first step on; None in an isolate of any other worker."""


class DurableObjectAbort(BaseException):
    """Raised where `ctx.abort()` was called: the object has ended, and nothing of this code goes on."""


class Object:
    """The instance, and who may enter."""

    def __init__(self, class_name, state, database):
        self.found = worker.objects[class_name]
        self.state = state
        self._database = database
        self.instance = None
        self.aborted = False
        self._reason = None
        self._failure = None
        self._closed = 0
        self._opened = None
        self._waiting = deque()

    async def enter(self):
        """Wait for one's turn. Class, instance and `ctx`; whoever comes first makes the instance."""
        await self.admitted()
        if self.instance is None:
            await self._construct()
        return self.found, self.instance, self.state

    def at_hand(self):
        """What `enter` returns, if nobody has to wait for it."""
        if self._closed or self._waiting or self.instance is None:
            return None
        return self.found, self.instance, self.state

    async def admitted(self):
        """Wait for one's turn."""
        if self._closed or self._waiting:
            await self._wait()

    async def _wait(self):
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        finally:
            self._waiting.remove(turn)
            self._admit()

    def _admit(self):
        if self._waiting and not self._closed and not self._waiting[0].done():
            self._waiting[0].set_result(None)

    async def _construct(self):
        if self._failure is not None:
            raise self._failure
        try:
            self.instance = self.found(self.state, environment.env)
        except BaseException as error:
            self._failure = error
            self.abort(f"the object's constructor failed: {error}")
            raise
        if self._closed:
            self._opened = asyncio.get_running_loop().create_future()
            await self._opened

    # the gate --------------------------------------------------------------------------------------------------------

    def block(self, callback, fatal=True):
        """Run an async function while nothing else of the object runs. Returns its task. If the function fails, so does
        the object, unless that is not `fatal`."""
        mine = current()
        task = asyncio.Task(callback(), loop=asyncio.get_running_loop(), eager_start=True)
        if task.done():
            self._blamed(task, fatal)
            return task
        self._closed += 1
        invocation.gate = mine
        late = asyncio.get_running_loop().call_later(BLOCK_S, self._too_late)
        mine.hold()

        def done(task):
            late.cancel()
            self._closed -= 1
            self._blamed(task, fatal)
            if not self._closed:
                self._open()
            mine.release()

        task.add_done_callback(done)
        return task

    def _blamed(self, task, fatal):
        if fatal and not task.cancelled() and task.exception() is not None:
            self.abort(f"the function of block_concurrency_while() failed: {task.exception()}")

    def _open(self):
        invocation.gate = None
        opened, self._opened = self._opened, None
        if opened is not None and not opened.done():
            opened.set_result(None)
        self._admit()

    def _too_late(self):
        self.abort(f"block_concurrency_while() took longer than {BLOCK_S} s")

    # the end ---------------------------------------------------------------------------------------------------------

    def abort(self, reason):
        """End the object with this step: nothing of what it wrote in it is kept, and nobody hears of it."""
        if not self.aborted:
            self.aborted = True
            self._reason = str(reason)[:MAX_MESSAGE]

    def commit(self):
        """The step ends: what it has changed in the storage goes out before all else."""
        if self.aborted:
            outbox.put_alone(["abort", self._reason])
        else:
            self._database.commit()


def on_become(class_name, id, pages, alarm, most, name):
    """Event: this isolate is an object. Once, after `init`."""
    global this
    from workers import durable

    database = storage.Database(pages, alarm, most)
    state = durable.DurableObjectState(durable.DurableObjectId(id, name), database)
    this = Object(class_name, state, database)
