"""The load generator wrk: C, one thread here, more than a server written in Python can take.

What it sends is told in its own Lua; what it saw comes back as one line of JSON, which the script writes at the end.
Its latencies are not used: a closed loop omits what it did not send (see `open_loop`).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BenchError
from .http_client import HOST, TIMEOUT
from .load import CONNECTIONS, Load
from .locate import BUILD
from .processes import pinned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .shapes import Shape

SCRIPT = """\
local paths, requests, turn = {%(paths)s}, {}, 0
wrk.method = "%(method)s"
wrk.headers["Host"] = "%(host)s"
%(body)s
function init()
  for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end
end
function request()
  turn = turn %% #requests + 1
  return requests[turn]
end
function done(summary, latency, all)
  local e = summary.errors
  local failed = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format('\\n{"answers": %%d, "microseconds": %%d, "refused": %%d}\\n',
    summary.requests, summary.duration, failed))
end
"""


def script(shape: Shape) -> str:
    """The Lua of a shape. Requests are written before the run and sent in turn."""
    paths = ", ".join(f'"{path}"' for path in shape.paths)
    body = ""
    if shape.body is not None:
        body = (
            f'wrk.headers["Content-Type"] = "{shape.content_type}"\nwrk.body = {_lua(shape.body.decode())}\n'
        )
    method = "GET" if shape.body is None else "POST"
    return SCRIPT % {"paths": paths, "method": method, "host": HOST, "body": body}


def _lua(text: str) -> str:
    """A long string, of a level that does not occur in the text. The line end after its bracket is not part of it."""
    level = "="
    while f"]{level}]" in text:
        level += "="
    return f"[{level}[\n{text}]{level}]"


def load(program: Path, port: int, shape: Shape, *, seconds: float, cpu: int | None = None) -> Load:
    """Load 127.0.0.1:`port` for so many seconds, whole ones, pinned to `cpu`.

    Raises BenchError if any answer was not 2xx.
    """
    with tempfile.TemporaryDirectory(prefix="pyworkerd-bench-") as folder, pinned(cpu):
        file = Path(folder) / "shape.lua"
        file.write_text(script(shape))
        command = [str(program), "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(file)]
        try:
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{port}/"],
                capture_output=True,
                text=True,
                timeout=seconds + 2 * TIMEOUT,
                env=environment(program, os.environ),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"cannot run wrk: {error}") from error
    return parse(done.stdout, done.stderr)


def parse(out: str, err: str) -> Load:
    """What the script wrote last. Raises BenchError if it did not, or if anything went wrong."""
    try:
        found = json.loads(out.strip().rpartition("\n")[2])
        seen = Load(int(found["answers"]), int(found["microseconds"]) / 1e6, int(found["refused"]))
    except (ValueError, KeyError, TypeError):
        raise BenchError(f"wrk failed: {(err or out).strip()[-200:]}") from None
    if seen.refused:
        raise BenchError(f"{seen.refused} requests under load failed or were not answered 2xx")
    return seen


def environment(program: Path, given: Mapping[str, str]) -> dict[str, str]:
    """With the libraries beside a wrk that was unpacked into the build folder, which no package manager knows."""
    if not program.is_relative_to(BUILD.absolute()):
        return dict(given)
    libraries = sorted(str(path.parent) for path in program.parents[1].glob("lib/*/libluajit-*"))
    return {**given, "LD_LIBRARY_PATH": os.pathsep.join(dict.fromkeys(libraries))}
