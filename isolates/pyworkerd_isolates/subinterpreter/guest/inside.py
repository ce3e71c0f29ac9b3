"""Inside a subinterpreter: the machinery of the sandbox, and around it the system that the sandbox has not.

The host runs `main` on a thread of its own. It reads a frame, runs a step, writes a frame, and ends when the host
closes its end. A second thread waits for the host's word to break off what runs.
"""

import _thread
import contextlib
import contextvars
import functools
import importlib.util
import os
import sys
import threading

LENGTH = 8
AGAIN_S = 0.05
"""How often code that is broken off is told so: it may have caught it, or there is more of it."""
TIMES = 40
"""How often at most: what has not ended by then is left to itself."""
END_S = 2.0
"""How long the end of the interpreter waits for threads that it has started."""


class BrokenOff(BaseException):
    """Raised in the midst of what runs: the host has given this isolate up."""


def main(link, word, machinery, wire, root, module):
    """`link` and `word` are descriptors, `machinery`, `wire` and `root` paths, `module` is the worker's main one."""
    if sys.version_info >= (3, 14):  # an older one aborts the process if a thread is left
        threading._shutdown = functools.partial(_bounded, threading._shutdown)
    over = threading.Event()
    waiting = threading.Thread(target=_wait, args=(word, over, threading.get_ident()), name="pyworkerd-word")
    waiting.start()
    try:
        _serve(_Line(link), machinery, wire, root, module)
    except BrokenOff:
        pass
    finally:
        over.set()


def _wait(word, over, thread):
    """A byte is the host's word; at the end of the file there will be none."""
    if not os.read(word, 1):
        return
    import ctypes

    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    for _ in range(TIMES):
        if over.is_set():
            break
        raise_in(ctypes.c_ulong(thread), ctypes.py_object(BrokenOff))
        over.wait(AGAIN_S)


def _bounded(shutdown):
    """`threading._shutdown`, which waits for all threads, but not for ever: one may never end."""
    done = threading.Event()

    def wait():
        shutdown()
        done.set()

    _thread.start_new_thread(wait, ())
    with contextlib.suppress(BrokenOff):  # it may come late
        done.wait(END_S)


def _serve(line, machinery, wire, root, module):
    step = _prepare(line, machinery, wire)
    line.write(step.load(line.read(), lambda *_: _run(root, module)))
    while (frame := line.read()) is not None:
        line.write(step.step(frame))


def _prepare(line, machinery, wire):
    spec = importlib.util.spec_from_file_location("_wire", wire)
    sys.modules["_wire"] = found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    sys.path.insert(0, machinery)
    from _pyworkerd import handlers, logs

    handlers.loop = _threaded(line.knock)
    from _pyworkerd import step

    sys.path.remove(machinery)
    logs.install()
    return step


def _run(root, module):
    from _pyworkerd import files, worker

    files.ROOT = root
    sys.path[:0] = [root, f"{root}/python_modules"]
    return worker.run(module, contextlib.nullcontext())


def _threaded(knock):
    """The loop of the sandbox, but with threads: what they have done is known to the host, which runs another step."""
    from _pyworkerd.loop import Loop

    home = threading.get_ident()

    class ThreadedLoop(Loop):
        _executor = None

        def call_soon_threadsafe(self, callback, *args, context=None):
            handle = self.call_soon(callback, *args, context=context)
            if threading.get_ident() != home:
                knock()
            return handle

        def run_in_executor(self, executor, func, *args):
            future = self.create_future()
            context = contextvars.copy_context()

            def work():
                try:
                    result, error = func(*args), None
                except BaseException as failure:
                    result, error = None, failure
                self.call_soon_threadsafe(_settle, future, result, error, context=context)

            (executor or self._default()).submit(work)
            return future

        def _default(self):
            if self._executor is None:
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(thread_name_prefix="worker")
            return self._executor

        def set_default_executor(self, executor):
            self._executor = executor

    return ThreadedLoop()


def _settle(future, result, error):
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class _Line:
    """Frames, one after the other. Any thread may knock."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._in = open(descriptor, "rb", closefd=False)
        self._lock = threading.Lock()

    def read(self):
        """The next frame; None when the host wants nothing more."""
        try:
            head = self._in.read(LENGTH)
            return self._in.read(int.from_bytes(head, "little")) if len(head) == LENGTH else None
        except ConnectionError:  # the host has gone without reading what was there
            return None

    def write(self, frame):
        """Write a frame; in vain if the host has gone, which the next `read` tells."""
        data = memoryview(len(frame).to_bytes(LENGTH, "little") + frame)
        with self._lock, contextlib.suppress(ConnectionError):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def knock(self):
        """Tell the host that something is ready."""
        self.write(b"")
