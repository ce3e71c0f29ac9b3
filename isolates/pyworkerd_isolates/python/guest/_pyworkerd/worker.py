"""The worker inside this isolate: its bundle, its top level, its entrypoints."""

import importlib
import inspect
import json
import linecache
import sys
import traceback

from . import entropy, files, importer, outbox

HANDLERS = frozenset(("fetch", "scheduled", "queue", "tail", "email", "connect", "test", "alarm", "trace"))
RESERVED = HANDLERS | {
    "dup", "constructor", "webSocketMessage", "webSocketClose", "webSocketError",
    "web_socket_message", "web_socket_close", "web_socket_error",
}  # fmt: skip
"""Names that are never RPC methods (the platform's list)."""
LEGACY = {f"on_{name}": name for name in ("fetch", "scheduled", "alarm", "queue", "trace", "tail", "email")}

entrypoints = {}
"""Exported classes by name; None is the default export."""
objects = {}
"""Exported classes of Durable Objects by name."""
_arity = {}
takes = {}
"""How many positional arguments the `fetch` of a class takes."""
MAX_TRACEBACK = 16_384
"""Characters; the end of a traceback says most."""
_MACHINERY = (__file__.rpartition("/")[0], f"{importer.LIBRARY}/importlib/", "<frozen importlib")


class Legacy:
    """The default export of a module that has global handlers (`on_fetch`) instead of a class."""

    def __init__(self, module):
        self._handlers = {name: getattr(module, key) for key, name in LEGACY.items() if hasattr(module, key)}
        if _tests_itself(module):
            self._handlers["test"] = module.test

    def __call__(self, ctx, env):
        return _LegacyInstance(self._handlers, ctx, env)

    def handler_names(self):
        return sorted(self._handlers)


class _LegacyInstance:
    def __init__(self, handlers, ctx, env):
        self.env, self.ctx = env, ctx
        self.__dict__.update(handlers)


def load(message, blobs):
    """Run the worker's top level. Answers what the host should know about it, or how it failed."""
    main, names = message
    for path, index in names:
        files.add(f"{files.ROOT}/{path}", bytes(blobs[index]))
    importer.add_bundle(files.ROOT)
    _warn_of_hidden(names)
    return run(main, entropy.refused())


def run(main, guard):
    """Import the main module inside this context, and find what it exports. Answers as `load`."""
    from workers import DurableObject

    try:
        with guard:
            module = importlib.import_module(main)
        classes = _exports_of(module, DurableObject)
        exported = _entrypoints_of(module, classes)
    except BaseException as error:
        return _failure(error)
    entrypoints.update(exported)
    objects.update(classes)
    for entrypoint in (*exported.values(), *classes.values()):
        for name in _handlers_of(entrypoint):
            bind(entrypoint, name)
    described = {key or "": _handlers_of(value) for key, value in exported.items()}
    linecache.clearcache()
    return ["ok", described, {key: _handlers_of(value) for key, value in classes.items()}, _logs()]


def forget():
    """While the engine is built: nothing of the warm-up may stay."""
    _arity.clear()
    takes.clear()


def _warn_of_hidden(names):
    from .logs import emit

    for path, _ in names:
        name = path.partition("/")[0].removesuffix(".py")
        if name in sys.modules and (path in (f"{name}.py", f"{name}/__init__.py")):
            emit("warning", "pyworkerd", f"{path} is hidden by the standard library's module {name!r}")


def _exports_of(module, base):
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
        and not name.startswith("_")
    }  # fmt: skip


def _entrypoints_of(module, classes):
    from workers import WorkerEntrypoint

    exported = _exports_of(module, WorkerEntrypoint)
    found = {(None if name == "Default" else name): value for name, value in exported.items()}
    if any(hasattr(module, name) for name in LEGACY):
        if None in found:
            raise TypeError("Cannot define multiple default entrypoints")
        found[None] = Legacy(module)
    elif None not in found and _tests_itself(module):
        found[None] = Legacy(module)
    if not found and not classes:
        raise TypeError(
            f"{module.__name__} exports no entrypoint: "
            "define `class Default(WorkerEntrypoint)` with `async def fetch(self, request)`"
        )
    return found


def _tests_itself(module):
    """Whether it has a global `test` handler, which has no prefix: a function, and the module's own."""
    found = getattr(module, "test", None)
    return inspect.isfunction(found) and found.__module__ == module.__name__


def _handlers_of(entrypoint):
    if isinstance(entrypoint, Legacy):
        return entrypoint.handler_names()
    return sorted(name for name in HANDLERS if callable(getattr(entrypoint, name, None)))


def _failure(error):
    kind = "raised"
    if isinstance(error, entropy.EntropyAtTopLevel):
        kind = "entropy"
    file = line = None
    if isinstance(error, SyntaxError) and (error.filename or "").startswith(files.ROOT):
        file, line = error.filename, error.lineno
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(files.ROOT):
                file, line = frame.filename, frame.lineno
    if file is not None:
        file = file[len(files.ROOT) + 1 :]
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return [kind, type(error).__name__, message, format_exception(error), file, line, _logs()]


def format_exception(error):
    """A traceback as the worker's author should see it: without the frames of this machinery, bounded."""
    try:
        lines = traceback.TracebackException.from_exception(error, limit=-30, capture_locals=False)
        each = lines
        while each is not None:
            each.stack[:] = [frame for frame in each.stack if not frame.filename.startswith(_MACHINERY)]
            each = each.__cause__ or each.__context__
        return "".join(lines.format())[-MAX_TRACEBACK:]
    except Exception as failure:
        return f"{type(error).__name__} (its traceback cannot be formatted: {type(failure).__name__})"


def _logs():
    sys.stdout.flush()
    sys.stderr.flush()
    logs = [json.loads(effect)[2:] for effect in outbox.effects if effect.startswith('["log",')]
    outbox.clear()
    return logs


def bind(entrypoint, name):
    """How many positional arguments a handler takes: `fetch(self)` and `on_fetch(request, env, ctx)` both work."""
    key = (entrypoint, name)
    count = _arity.get(key)
    if count is None:
        function = (
            getattr(entrypoint, name) if not isinstance(entrypoint, Legacy) else entrypoint._handlers[name]
        )
        kinds = [p.kind for p in inspect.signature(function).parameters.values()]
        count = 3 if inspect.Parameter.VAR_POSITIONAL in kinds else sum(k <= 1 for k in kinds)
        if not isinstance(entrypoint, Legacy) and inspect.Parameter.VAR_POSITIONAL not in kinds:
            count -= not isinstance(inspect.getattr_static(entrypoint, name), (staticmethod, classmethod))
        _arity[key] = count = min(count, 3)
        if name == "fetch":
            takes[entrypoint] = count
    return count
