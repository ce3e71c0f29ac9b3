"""Every way to the system that CPython has: an ordinary exception, a harmless answer, or a recorded refusal."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.errors import Trap

WORKER = """
import builtins, importlib, io, os, posix, select, signal, socket, subprocess, sys, tempfile, threading, time, _thread
import asyncio, concurrent.futures, faulthandler, shutil, sqlite3, webbrowser
from workers import WorkerEntrypoint

TRIES = [(), (0,), (1,), ("/etc/passwd",), ("/etc/passwd", 0), (0, 0), (0, b"x"), ("a", "b"), (1, 2, 3), (["true"],)]

def attempt(module, name):
    function = getattr(importlib.import_module(module), name)
    told = set()
    for arguments in TRIES:
        try:
            result = function(*arguments)
            if hasattr(result, "close") and not isinstance(result, type):
                result.close()
            told.add("fine")
        except SystemExit:
            told.add("SystemExit")
        except Exception as error:
            told.add(type(error).__name__)
    return sorted(told)

class Default(WorkerEntrypoint):
    async def names(self, module):
        found = importlib.import_module(module)
        return [name for name in sorted(dir(found)) if name[:2] != "__" and callable(getattr(found, name))]


    async def attempt(self, module, name):
        return attempt(module, name)

    async def look(self, code):
        return repr(eval(code))
"""

ENDS = {
    "posix": {"_exit": "wasi:cli/exit exit", "abort": "unreachable code reached"},
    "os": {"_exit": "wasi:cli/exit exit", "abort": "unreachable code reached"},
    "faulthandler": {
        "_sigabrt": "unreachable code reached",
        "_sigfpe": "integer division by zero",
        "_sigsegv": "wasi:cli/stderr get-stderr",
        "dump_c_stack": "wasi:cli/stdout get-stdout",
        "dump_traceback": "wasi:cli/stdout get-stdout",
    },
}
"""What raises nothing: it ends the isolate, with the system call that was refused on record where there was one."""
MODULES = ["posix", "os", "socket", "_socket", "subprocess", "threading", "_thread", "tempfile", "select", "signal",
           "time", "shutil", "io", "_io", "faulthandler"]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_everything_that_may_reach_for_the_system(start, module):
    """Whatever is called with whatever: the step ends in order, or in a refusal that names what was asked for."""
    names = start(WORKER).call("names", module).value
    assert names
    driver, ended = start(WORKER), {}
    for name in names:
        if name in SKIPPED:
            continue
        try:
            run = driver.call("attempt", module, name)
        except Trap as trap:
            ended[name] = str(trap)
            driver = start(WORKER)
        else:
            assert run.failure is None, (name, run.failure)
    assert ended == ENDS.get(module, {})


SKIPPED = frozenset(("breakpoint", "interrupt_main", "raise_signal", "default_int_handler", "pthread_kill"))
"""They raise in the interpreter itself, at a later instruction."""


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("open('/etc/passwd')", "FileNotFoundError"),
        ("io.open('/etc/passwd')", "FileNotFoundError"),
        ("os.open('/etc/passwd', 0)", "OSError"),
        ("os.system('true')", "AttributeError"),
        ("os.popen('true')", "OSError"),
        ("os.fork()", "AttributeError"),
        ("os.kill(1, 9)", "AttributeError"),
        ("os.pipe()", "AttributeError"),
        ("os.read(0, 1)", "OSError"),
        ("os.write(1, b'x')", "OSError"),
        ("os.getpid()", None),
        ("os.cpu_count()", None),
        ("os.chdir('/')", "OSError"),
        ("os.uname().machine", None),
        ("subprocess.run(['true'])", "OSError"),
        ("threading.Thread(target=print).start()", "RuntimeError"),
        ("_thread.start_new_thread(print, ())", "RuntimeError"),
        ("concurrent.futures.ThreadPoolExecutor().submit(print)", "RuntimeError"),
        ("threading.Timer(1, print).start()", "RuntimeError"),
        ("__import__('multiprocessing').Process(target=print).start()", "AttributeError"),
        ("socket.socket()", "PermissionError"),
        ("socket.create_connection(('127.0.0.1', 80))", "PermissionError"),
        ("socket.getaddrinfo('localhost', 80)", "PermissionError"),
        ("socket.gethostname()", "PermissionError"),
        ("__import__('urllib.request').request.urlopen('http://127.0.0.1/')", "URLError"),
        ("__import__('http.client').client.HTTPConnection('127.0.0.1').connect()", "PermissionError"),
        ("sqlite3.connect('file.db')", "OperationalError"),
        ("sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()", None),
        ("signal.alarm(1)", "AttributeError"),
        ("webbrowser.open('http://a.example/')", None),
        ("time.sleep(0.001)", "RuntimeError"),
        ("input()", "RuntimeError"),
        ("sys.stdin", None),
        ("shutil.disk_usage('/')", "AttributeError"),
        ("os.get_terminal_size()", "OSError"),
        ("shutil.get_terminal_size()", None),
        ("breakpoint()", "RuntimeError"),
        ("time.tzname", None),
        ("time.localtime(0)[:3]", None),
        ("time.get_clock_info('monotonic')", None),
        ("__import__('platform').platform()", None),
        ("__import__('locale').getlocale()", None),
        ("__import__('zoneinfo').ZoneInfo('UTC')", "ZoneInfoNotFoundError"),
        ("__import__('datetime').datetime.now().year > 2025", None),
        ("__import__('getpass').getuser()", "OSError"),
        ("__import__('ctypes')", "ModuleNotFoundError"),
        ("__import__('gc').collect() >= 0", None),
        ("__import__('pdb').set_trace()", "RuntimeError"),
    ],
)
def test_common_ways(start, code, kind):
    run = start(WORKER).call("look", code)
    assert (run.failure and run.failure.type_name) == kind, run.failure
