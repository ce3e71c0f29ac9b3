"""workerd with a thousand static workers, which it starts when it starts, and one that passes requests on by path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import WORKERD_SERVE
from pyworkerd_bench.crowd import ASKED, CrowdContestant
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.folder import Folder
from pyworkerd_bench.locate import PROGRAMS, find, missing
from pyworkerd_bench.processes import Server, output_of

from .workerd_serve import DATE, HELLO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZE: Final = 1_000
ROUTER: Final = """\
export default {
  fetch(request, env) { return env[new URL(request.url).pathname.slice(1)].fetch(request); },
};
"""


class WorkerdStatic(CrowdContestant):
    """Every tenant a service of its own."""

    name = WORKERD_SERVE
    sizes: Sequence[int] = (SIZE,)

    def __init__(self, asked: int = ASKED, size: int = SIZE) -> None:
        self.sizes = (size,)
        super().__init__(asked)
        self._folder = Folder()

    def available(self) -> str | None:
        """Whether workerd is installed."""
        return None if find(PROGRAMS["workerd"]) else missing(PROGRAMS["workerd"])

    def about(self) -> str:
        """Version and settings."""
        version = output_of([str(find(PROGRAMS["workerd"])), "--version"])
        return f"{version}, JavaScript, compatibility date {DATE}, static workers"

    def start(self) -> None:
        """Write the configuration."""
        write_crowd(self._folder.make(), self.sizes[0])

    def stop(self) -> None:
        """Remove the configuration: servers end with their round."""
        self._folder.remove()

    def spawn(self, size: int, cpu: int | None) -> Server:
        """A server with so many tenants."""
        del size
        config = self._folder.path / "config.capnp"
        program = find(PROGRAMS["workerd"])
        if program is None:
            raise BenchError(missing(PROGRAMS["workerd"]))
        command = [str(program), "serve", str(config), "--control-fd=1"]
        return Server(command, r'"port":\s*(\d+)', cpu=cpu)


def write_crowd(folder: Path, size: int) -> Path:
    """The configuration of so many tenants and the router before them. Returns its file."""
    (folder / "hello.js").write_text(HELLO)
    (folder / "router.js").write_text(ROUTER)
    names = [f"t{number}" for number in range(size)]
    services = ",\n    ".join(f'(name = "{name}", worker = .tenant)' for name in names)
    bindings = ",\n    ".join(f'(name = "{name}", service = "{name}")' for name in names)
    config = folder / "config.capnp"
    config.write_text(
        f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "router", worker = .router),
    {services}
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "router")],
);
const tenant :Workerd.Worker = (
  modules = [(name = "hello.js", esModule = embed "hello.js")],
  compatibilityDate = "{DATE}",
);
const router :Workerd.Worker = (
  modules = [(name = "router.js", esModule = embed "router.js")],
  compatibilityDate = "{DATE}",
  bindings = [
    {bindings}
  ],
);
"""
    )
    return config
