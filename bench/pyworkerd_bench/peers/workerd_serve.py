"""workerd under full load: JavaScript workers, each behind a socket of its own, and tenants of its worker loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import WORKERD_SERVE
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.loaded import LoadedContestant
from pyworkerd_bench.locate import PROGRAMS, find, missing
from pyworkerd_bench.processes import Server, output_of
from pyworkerd_bench.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DATE: Final = "2026-11-01"

HELLO: Final = "export default { fetch() { return new Response('hello'); } };\n"

SOURCES: Final[Mapping[str, str]] = {
    "hello": HELLO,
    "json": """\
export default {
  async fetch(request) {
    const order = await request.json();
    const total = order.items.reduce((sum, item) => sum + item.price * item.count, 0);
    return Response.json({ customer: order.customer.name, items: order.items.length, total });
  },
};
""",
    "body": """\
export default {
  async fetch(request) {
    return new Response(await request.arrayBuffer());
  },
};
""",
    "chain": "export default { fetch(request, env) { return env.NEXT.fetch(request); } };\n",
    "middle": "export default { fetch(request, env) { return env.NEXT.fetch(request); } };\n",
    "last": HELLO,
    "tenants": f"""\
const tenant = {{
  compatibilityDate: "{DATE}",
  mainModule: "hello.js",
  modules: {{ "hello.js": "{HELLO.strip()}" }},
}};
export default {{
  async fetch(request, env) {{
    const id = new URL(request.url).pathname;
    return env.LOADER.get(id, () => tenant).getEntrypoint().fetch(request);
  }},
}};
""",
}
"""Of each service, by its name; shapes have a socket as well."""

BINDINGS: Final[Mapping[str, str]] = {
    "chain": '(name = "NEXT", service = "middle")',
    "middle": '(name = "NEXT", service = "last")',
    "tenants": '(name = "LOADER", workerLoader = ())',
}


class WorkerdServe(LoadedContestant):
    """workerd with every shape."""

    name = WORKERD_SERVE
    shapes = tuple(SHAPES)

    def available(self) -> str | None:
        """Whether workerd is installed."""
        return None if find(PROGRAMS["workerd"]) else missing(PROGRAMS["workerd"])

    def about(self) -> str:
        """Version and settings."""
        return f"{output_of([str(_program()), '--version'])}, JavaScript, compatibility date {DATE}, --experimental"

    def spawn(self, cpu: int | None) -> Server:
        """workerd tells the ports it chose as JSON on its control descriptor, here its standard output."""
        config = write_all(self._folder.path)
        command = [str(_program()), "serve", str(config), "--experimental", "--control-fd=1"]
        announcement = r'"socket":\s*"(?P<name>\w+)",\s*"port":\s*(?P<port>\d+)'
        return Server(command, announcement, cpu=cpu, names=tuple(SHAPES))

    def port(self, server: Server, shape: str) -> int:
        """Its own socket's."""
        return server.ports[shape]


def write_all(folder: Path) -> Path:
    """workerd's configuration and its sources. Returns the former's file."""
    for name, source in SOURCES.items():
        (folder / f"{name}.js").write_text(source)
    services = ",\n    ".join(f'(name = "{name}", worker = .{name})' for name in SOURCES)
    sockets = ",\n    ".join(
        f'(name = "{name}", address = "127.0.0.1:0", http = (), service = "{name}")' for name in SHAPES
    )
    workers = "\n".join(map(_worker, SOURCES))
    config = folder / "config.capnp"
    config.write_text(
        f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    {services}
  ],
  sockets = [
    {sockets}
  ],
);
{workers}
"""
    )
    return config


def _worker(name: str) -> str:
    return f"""\
const {name} :Workerd.Worker = (
  modules = [(name = "{name}.js", esModule = embed "{name}.js")],
  compatibilityDate = "{DATE}",
  bindings = [{BINDINGS.get(name, "")}],
);"""


def _program() -> Path:
    program = find(PROGRAMS["workerd"])
    if program is None:
        raise BenchError(missing(PROGRAMS["workerd"]))
    return program
