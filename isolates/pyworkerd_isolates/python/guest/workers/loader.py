"""`env.LOADER`: workers that are started from source at run time."""

import json

import _wire
from _pyworkerd import calls
from _pyworkerd.lending import Sendable

from .body import BodyStream
from .capability import Capability
from .request import Request
from .rpc import message
from .stubs import RpcPromise, read

ADDRESS = "x-pyworkerd-loaded"
"""First header field of a request through the binding; the host takes it off."""
KEYS = {
    "compatibility_date": "date",
    "compatibility_flags": "flags",
    "allow_experimental": "experimental",
    "main_module": "main",
    "modules": "modules",
    "env": "env",
    "global_outbound": "outbound",
    "limits": "limits",
}
"""What the description of a worker may have. The first three are accepted, and mean nothing here."""
KINDS = ("js", "cjs", "py", "text", "data", "json")
CODE = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")
"""Suffixes of modules whose content may be a text alone."""


def _snake(name):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


class WorkerLoader(Capability):
    """Starts workers. They see what they are given on their `env`, and nothing else."""

    __slots__ = ()

    def get(self, name, callback):
        """The worker of this name, found again while it is loaded. Otherwise `callback` (async or not) describes it; it
        may be called more than once. None for a worker that nobody else finds.

        Nothing happens before it is used, or awaited.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError("the name of a loaded worker is a text or None")
        if not callable(callback):
            raise TypeError("the second argument of get() is a function that describes the worker")
        return WorkerStub(self, name or "", callback)

    def load(self, code):
        """A worker that nobody else finds, by its description."""
        described = _described(code)

        async def callback():
            return described

        return WorkerStub(self, "", callback)


class WorkerStub:
    """A worker that is loaded when it is used first. `await stub` loads it now, and says what is wrong with it."""

    def __init__(self, loader, name, callback):
        self._loader, self._name, self._callback = loader, name, callback
        self._number = 0

    def get_entrypoint(self, name=None, *, props=None):
        """Its default export, or the exported class of this name, with these `ctx.props`."""
        return LoadedEntrypoint(self, name, props)

    getEntrypoint = get_entrypoint

    def __await__(self):
        yield from self._load().__await__()
        return self

    async def _load(self):
        if not self._number and self._name:
            self._number = await self._loader._call("open", self._name)
        if not self._number:
            code = self._callback()
            if hasattr(code, "__await__"):
                code = await code
            if not isinstance(code, _Described):
                code = _described(code)
            self._number = await self._loader._call("load", self._name, code.spec)
        return self._number

    async def _again(self, error):
        """Its number, after an attempt that failed: if the worker has gone meanwhile, nothing was done, and it is
        loaded once more. Raises the error if it was another one."""
        if error.code != "not_loaded":
            raise error
        self._number = 0
        return await self._load()


class LoadedEntrypoint:
    """One exported class of a loaded worker: `fetch()` sends it a request, any other name is one of its RPC methods."""

    __slots__ = ("_rest", "_stub")

    def __init__(self, stub, name, props):
        self._stub = stub
        self._rest = json.dumps([name, props], separators=(",", ":"))[1:]

    def __bool__(self):
        return True

    def _address(self, number):
        return f"[{number},{self._rest}"

    async def fetch(self, resource, **options):
        """Send it a request."""
        request = resource if isinstance(resource, Request) and not options else Request(resource, **options)
        again = None if type(request._body) is BodyStream else request.clone()
        stub = self._stub
        try:
            return await self._send(await stub._load(), request)
        except calls.CallError as error:
            if again is None:  # what was read of a stream is gone
                raise
            number = await stub._again(error)
        return await self._send(number, again)

    async def _send(self, number, request):
        from .fetching import send

        return await send(self._stub._loader._index, request, {}, [(ADDRESS, self._address(number))])

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        stub = self._stub

        async def ask(positional, named):
            arguments = message([list(positional), named])
            try:
                return await self._call(await stub._load(), name, arguments)
            except calls.CallError as error:
                if type(arguments) is not bytes and arguments.streams():  # what was read of them is gone
                    raise
                number = await stub._again(error)
            return await self._call(number, name, arguments)

        def method(*positional, **named):
            return RpcPromise(ask(positional, named))

        method.__name__ = method.__qualname__ = name
        return method

    async def _call(self, number, name, arguments):
        loader, address = self._stub._loader, self._address(number)
        if type(arguments) is bytes:
            return await loader._call("call", address, name, arguments)
        # What they lend goes with the call that they are in.
        sent = _wire.dump_value([[address, name, arguments.data], {}])
        return read(await calls.call(loader._index, "call", Sendable(sent, arguments.targets)))


class _Described:
    __slots__ = ("spec",)

    def __init__(self, spec):
        self.spec = spec


def _described(code):
    """A description in the host's words. Raises TypeError."""
    if not isinstance(code, dict):
        raise TypeError("a worker to load is described by a dictionary")
    found = {}
    for key, value in code.items():
        known = KEYS.get(_snake(key))
        if known is None:
            raise TypeError(f"a worker to load has no {key!r}; there are {', '.join(KEYS)}")
        found[known] = value
    if not found.get("main") or not isinstance(found.get("modules"), dict):
        raise TypeError("a worker to load needs main_module and modules")
    limits = found.get("limits") or {}
    return _Described(
        {
            "main": found["main"],
            "modules": [[name, _content(name, module)] for name, module in found["modules"].items()],
            "env": [[name, _granted(value)] for name, value in (found.get("env") or {}).items()],
            "outbound": _outbound(found.get("outbound")),
            "limits": {_snake(key): value for key, value in limits.items()},
        }
    )


def _content(name, module):
    kind = "py"
    if isinstance(module, dict):
        if len(module) != 1 or (kind := next(iter(module))) not in KINDS:
            raise TypeError(f"module {name!r} must be a text, or have one of {', '.join(KINDS)}")
        module = module[kind]
    elif not name.endswith(CODE):
        raise TypeError(
            f"module {name!r} is neither Python nor JavaScript: say what it is, as with {{'text': ...}}"
        )
    if kind == "json":
        module = json.dumps(module)
    if isinstance(module, str) and kind != "data":
        return module.encode()
    if kind == "data" and isinstance(module, (bytes, bytearray, memoryview)):
        return bytes(module)
    raise TypeError(f"the content of module {name!r} must be {'bytes' if kind == 'data' else 'a text'}")


def _granted(value):
    if isinstance(value, Capability):
        return value._index
    return _wire.dump_value(value)


def _outbound(value):
    if value is None:
        return None
    if isinstance(value, Capability):
        return value._index
    raise TypeError("global_outbound must be None or a service stub")
