"""A multi-tenant isolate runtime: many untrusting programs in one process, each in its own WebAssembly isolate.

    async with pyworkerd.Runtime() as runtime:
        worker = await runtime.load("worker.py", bindings={"GREETING": "hello"})
        response = await worker.fetch("/")

Names are imported when they are first used: `import pyworkerd` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyworkerd_config import Config, Limits
    from pyworkerd_config import load as load_config

    from . import errors, sync
    from .asgi import AsgiApp
    from .bindings.secret import Secret
    from .dispatch.fleet import FleetLimits, FleetStatistics
    from .errors import (
        ClientError,
        ConfigurationError,
        InternalError,
        LimitExceeded,
        NoRoute,
        Overloaded,
        PyworkerdError,
        UpstreamError,
        WorkerError,
        WorkerException,
    )
    from .loaded import Entrypoint, LoadedWorker
    from .messages import Body, Request, Response
    from .observe.logs import LogEntry
    from .runtime import Runtime, RuntimeOptions
    from .server import ServerOptions
    from .serving import Serving
    from .stubs import RpcTarget, Stub
    from .websocket import WebSocket, WebSocketClosed

__all__ = [
    "AsgiApp",
    "Body",
    "ClientError",
    "Config",
    "ConfigurationError",
    "Entrypoint",
    "FleetLimits",
    "FleetStatistics",
    "InternalError",
    "LimitExceeded",
    "Limits",
    "LoadedWorker",
    "LogEntry",
    "NoRoute",
    "Overloaded",
    "PyworkerdError",
    "Request",
    "Response",
    "RpcTarget",
    "Runtime",
    "RuntimeOptions",
    "Secret",
    "ServerOptions",
    "Serving",
    "Stub",
    "UpstreamError",
    "WebSocket",
    "WebSocketClosed",
    "WorkerError",
    "WorkerException",
    "errors",
    "load_config",
    "sync",
]

_MODULES = {
    "pyworkerd.asgi": ("AsgiApp",),
    "pyworkerd.bindings.secret": ("Secret",),
    "pyworkerd.dispatch.fleet": ("FleetLimits", "FleetStatistics"),
    "pyworkerd.errors": (
        "ClientError",
        "ConfigurationError",
        "InternalError",
        "LimitExceeded",
        "NoRoute",
        "Overloaded",
        "PyworkerdError",
        "UpstreamError",
        "WorkerError",
        "WorkerException",
    ),
    "pyworkerd.loaded": ("Entrypoint", "LoadedWorker"),
    "pyworkerd.messages": ("Body", "Request", "Response"),
    "pyworkerd.observe.logs": ("LogEntry",),
    "pyworkerd.runtime": ("Runtime", "RuntimeOptions"),
    "pyworkerd.server": ("ServerOptions",),
    "pyworkerd.serving": ("Serving",),
    "pyworkerd.stubs": ("RpcTarget", "Stub"),
    "pyworkerd.websocket": ("WebSocket", "WebSocketClosed"),
    "pyworkerd_config": ("Config", "Limits"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, and keep it."""
    if name in ("errors", "sync"):
        return import_module(f"{__name__}.{name}")
    if name == "load_config":
        value = import_module("pyworkerd_config").load
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
