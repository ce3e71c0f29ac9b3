"""workerd's worker loader: JavaScript isolates made at run time, one for each id that it has not seen.

This is the peer's own way to start an isolate from source during a request, and its feature nearest to ours.
Settings: the tenant's compatibility date is an older one because a new one switches on flags that make each
isolate slower to create (3.0 ms against 5.5 ms where this was written): the peer gets what is best for it.
Its process is replaced after some hundred isolates, outside the clock, because it keeps them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import LIVE_ISOLATES, WORKERD, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import Connection, get_request
from pyworkerd_bench.http_contestant import REQUESTS, WARMUP_REQUESTS, HttpContestant
from pyworkerd_bench.locate import PROGRAMS, find, missing
from pyworkerd_bench.processes import Server, output_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TENANT_DATE = "2025-01-01"
ISOLATES_PER_PROCESS = 150
MEMORY_RUNS = 3

CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed "main.js")],
  compatibilityDate = "2025-01-01",
  bindings = [(name = "LOADER", workerLoader = ())],
);
"""

MAIN = """\
const tenant = {
  compatibilityDate: "%(date)s",
  mainModule: "hello.js",
  modules: { "hello.js": "export default { fetch() { return new Response('hello'); } };" },
};
let made = 0;
export default {
  async fetch(request, env) {
    const warm = new URL(request.url).pathname === "/warm";
    const id = warm ? "warm" : `tenant-${made++}`;
    return env.LOADER.get(id, () => tenant).getEntrypoint().fetch(request);
  },
};
"""


class WorkerdLoader(HttpContestant):
    """workerd with one worker that loads tenants: a new one for each request, except to /warm."""

    name = WORKERD
    about_path = "/warm"

    def __init__(self) -> None:
        super().__init__()
        self._made = 0

    def available(self) -> str | None:
        """Whether workerd is installed."""
        return None if find(PROGRAMS["workerd"]) else missing(PROGRAMS["workerd"])

    def about(self) -> str:
        """Version and settings."""
        version = output_of([str(self._program()), "--version"])
        settings = f"--experimental, tenant compatibility date {TENANT_DATE}, a new id per request"
        return f"{version}, JavaScript, {settings}"

    def prepare(self, folder: Path) -> None:
        """Write the configuration."""
        (folder / "config.capnp").write_text(CONFIG)
        (folder / "main.js").write_text(MAIN % {"date": TENANT_DATE})

    def renew(self) -> None:
        """Replace the process, and with it all isolates it keeps."""
        super().renew()
        self._made = 0

    def spawn(self, cpu: int | None = None) -> Server:
        """workerd tells the port it chose as JSON on its control descriptor, here its standard output."""
        command = [str(self._program()), "serve", str(self._config()), "--experimental", "--control-fd=1"]
        return Server(command, r'"port":\s*(\d+)', cpu=cpu)

    def probes(self) -> Sequence[Probe]:
        """Everything but what only an embedded isolate can tell."""
        return [
            *self.common_probes(),
            Probe("first_step", self.start_alone, REQUESTS, WARMUP_REQUESTS),
            Probe("new_source", self.start_alone, REQUESTS, WARMUP_REQUESTS),
            Probe("http_warm", lambda: self.timed("/warm"), REQUESTS, WARMUP_REQUESTS),
            Probe("memory", self.memory, MEMORY_RUNS),
        ]

    def fresh(self) -> float:
        """One request to a new isolate, in a process that does not hold too many."""
        if self._made >= ISOLATES_PER_PROCESS:
            self.renew()
        self._made += 1
        return super().fresh()

    def start_alone(self) -> float:
        """What a new isolate adds to a request: one on a new isolate, minus one on a live isolate."""
        return self.fresh() - self.timed("/warm")

    def memory(self) -> float:
        """Bytes per live isolate, in a new process."""
        with self.spawn() as server, Connection(server.port) as connection:
            connection.timed(get_request("/warm"))
            before = server.uss()
            for _ in range(LIVE_ISOLATES):
                connection.timed(get_request(self.fresh_path))
            return (server.uss() - before) / LIVE_ISOLATES

    def _program(self) -> Path:
        program = find(PROGRAMS["workerd"])
        if program is None:
            raise BenchError(missing(PROGRAMS["workerd"]))
        return program

    def _config(self) -> Path:
        return self._folder.path / "config.capnp"
