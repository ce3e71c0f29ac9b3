"""What `wasmtime serve` runs: CPython with a `wasi:http` handler that answers hello, compiled ahead.

componentize-py builds it from `wasi_http.wit`, beside this file, which declares only what the handler uses.
Both the component and its compiled form are kept in the build folder under a name made of everything they
depend on.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import tempfile
from pathlib import Path

from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.locate import BUILD
from pyworkerd_bench.processes import output_of

WIT = Path(__file__).with_name("wasi_http.wit")

HANDLER = '''\
"""The peer's worker: the shortest way to a complete answer that wasi:http 0.2 has."""
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request, response_out):
        response = OutgoingResponse(Fields.from_list([("content-length", b"5")]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(b"hello")
        OutgoingBody.finish(body, None)
'''

RUN_COMPONENTIZE = "import sys, componentize_py; sys.exit(componentize_py.script())"


def lacking() -> str | None:
    """Why the component cannot be built, or None."""
    try:
        importlib.metadata.version("componentize-py")
    except importlib.metadata.PackageNotFoundError:
        return "componentize-py is not installed in this environment"
    return None


def compiled(wasmtime: Path, build: Path = BUILD) -> Path:
    """The handler compiled ahead of time by this wasmtime; ten seconds, once. Raises BenchError.

    The file holds native code. It is loaded from the user's own build folder, by wasmtime, which checks that
    its own version made it.
    """
    component = component_file(build)
    key = _digest(component.name, output_of([str(wasmtime), "--version"]))
    target = build / f"wasi-hello-{key}.cwasm"
    if not target.is_file():
        with tempfile.TemporaryDirectory(dir=build) as scratch:
            fresh = Path(scratch) / target.name
            output_of([str(wasmtime), "compile", str(component), "-o", str(fresh)])
            fresh.replace(target)
    return target


def component_file(build: Path = BUILD) -> Path:
    """The handler as a component, built if need be; five seconds, once. Raises BenchError."""
    if (reason := lacking()) is not None:
        raise BenchError(reason)
    key = _digest(WIT.read_text(), HANDLER, importlib.metadata.version("componentize-py"))
    target = build / f"wasi-hello-{key}.wasm"
    if not target.is_file():
        build.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=build) as scratch:
            (Path(scratch) / "hello_handler.py").write_text(HANDLER)
            fresh = Path(scratch) / "hello.wasm"
            world = ["--quiet", "--wit-path", str(WIT), "--world", "hello"]
            module = ["componentize", "--python-path", scratch, "hello_handler", "--output", str(fresh)]
            output_of([sys.executable, "-c", RUN_COMPONENTIZE, *world, *module])
            fresh.replace(target)
    return target


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
