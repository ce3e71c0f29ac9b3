"""The public surface: what is there, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest
import pyworkerd

SURFACE = (
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
)


def test_the_surface_is_as_pinned() -> None:
    assert sorted(pyworkerd.__all__) == sorted(SURFACE) == dir(pyworkerd)


@pytest.mark.parametrize("name", SURFACE)
def test_every_name_is_there(name: str) -> None:
    assert getattr(pyworkerd, name) is getattr(pyworkerd, name)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = pyworkerd.Nonsense


def test_importing_it_imports_nothing_of_weight() -> None:
    heavy = ("asyncio", "wasmtime", "aiohttp", "uvloop")
    script = f"import sys, pyworkerd; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_runtime_does_not_import_the_outbound_client() -> None:
    script = "import sys, pyworkerd; pyworkerd.Runtime; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
