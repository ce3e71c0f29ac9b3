"""What stands where the operating system was: the usual Python exceptions instead of a trap.

The engine answers every system call with a trap, which ends the isolate. That is the wall. This module is the sign in
front of it: common ways to reach for the system say in Python's own words that there is none.
"""

import errno
import io
import os
import sys

from . import files

_HARMLESS = frozenset(
    (
        "WCOREDUMP",
        "WEXITSTATUS",
        "WIFCONTINUED",
        "WIFEXITED",
        "WIFSIGNALED",
        "WIFSTOPPED",
        "WSTOPSIG",
        "WTERMSIG",
        "_exit",
        "_inputhook",
        "_path_splitroot_ex",
        "_path_normpath",
        "_path_splitroot",
        "abort",
        "cpu_count",
        "fspath",
        "getpid",
        "strerror",
        "urandom",
        "get_inheritable",
        "device_encoding",
        "major",
        "minor",
        "makedev",
        "sysconf",
        "putenv",
        "unsetenv",
        "_is_inputhook_installed",
        "_create_environ",
        "register_at_fork",
        "waitstatus_to_exitcode",
    )
)
"""Functions of `posix` that do not reach for the system."""


def _refusal(name, code):
    def refuse(*arguments, **options):
        path = arguments[0] if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)) else None
        raise OSError(code, os.strerror(code), *((os.fspath(path),) if path is not None else ()))

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


_READS = {
    "stat": files.stat,
    "lstat": files.stat,
    "listdir": files.listdir,
    "scandir": files.scandir,
    "access": files.access,
    "getcwd": lambda: files.ROOT,
    "getcwdb": files.ROOT.encode,
    "uname": lambda: os.uname_result(("wasi", "isolate", "", "", "wasm32")),
}
_WRITES = frozenset(
    [
        "chmod",
        "link",
        "mkdir",
        "open",
        "remove",
        "rename",
        "replace",
        "rmdir",
        "symlink",
        "truncate",
        "unlink",
        "utime",
        "chown",
        "mkfifo",
        "mknod",
    ]
)


def _sleep(seconds):
    """`time.sleep()` cannot wait: nothing else in the isolate could go on."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if seconds:
        raise RuntimeError("time.sleep() would stop the whole isolate; write `await asyncio.sleep(seconds)`")


def _no_socket(*arguments, **options):
    raise OSError(errno.EPERM, "there are no sockets inside an isolate; use `fetch()` from `workers`")


def _no_thread(self):
    raise RuntimeError("can't start new thread: an isolate has one; use asyncio")


def install():
    """Put everything in place. Build time, before any worker's code."""
    import asyncio.events
    import builtins
    import posix
    import socket
    import threading
    import time
    import tokenize

    from .loop import refuse_another

    builtins.open = io.open = tokenize._builtin_open = files.open_
    asyncio.new_event_loop = asyncio.events.new_event_loop = refuse_another
    for name in dir(posix):
        if name.startswith("__") or name in _HARMLESS or not callable(getattr(posix, name)):
            continue
        if isinstance(getattr(posix, name), type) and name not in {"scandir", "DirEntry"}:
            continue
        code = errno.EROFS if name in _WRITES else errno.ENOTSUP
        shim = files.Entry if name == "DirEntry" else _READS.get(name) or _refusal(name, code)
        setattr(posix, name, shim)
        if hasattr(os, name):
            setattr(os, name, shim)
    os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = os.supports_effective_ids = (
        frozenset()
    )
    os.environ.clear()
    os.get_terminal_size = _refusal("get_terminal_size", errno.ENOTTY)
    time.sleep = _sleep
    socket.socket.__init__ = _no_socket
    for name in (
        "getaddrinfo",
        "gethostbyname",
        "gethostbyname_ex",
        "gethostbyaddr",
        "getnameinfo",
        "create_connection",
        "socketpair",
        "gethostname",
        "create_server",
        "fromfd",
    ):
        if hasattr(socket, name):
            setattr(socket, name, _no_socket)
    threading.Thread.start = _no_thread
    sys.dont_write_bytecode = True
    sys.stdin = sys.__stdin__ = None
