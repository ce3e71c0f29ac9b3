"""miniflare, which keeps the state of workerd's JavaScript workers for development: npm's package, on Node.js."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import MINIFLARE, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_contestant import HttpContestant
from pyworkerd_bench.locate import BUILD, PROGRAMS, find, missing
from pyworkerd_bench.processes import Server
from pyworkerd_bench.subject.bindings import FILL, PAIRS, QUERIES, QUERY, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PACKAGE: Final = BUILD / "miniflare/node_modules/miniflare/package.json"

WORKER: Final = f"""\
let filled;

async function fill(database) {{
  await database.exec({json.dumps(SCHEMA)});
  await database.prepare({json.dumps(FILL)}).run();
}}

async function kv(env) {{
  const value = String(Math.random());
  for (let number = 0; number < {PAIRS}; number++) {{
    await env.CACHE.put(`k${{number}}`, value);
    if (await env.CACHE.get(`k${{number}}`) !== value) throw new Error("lost");
  }}
}}

async function d1(env) {{
  const query = env.DB.prepare({json.dumps(QUERY)});
  for (let number = 0; number < {QUERIES}; number++) {{
    if ((await query.bind(number).first()).id !== number) throw new Error("lost");
  }}
}}

async function d1Batch(env) {{
  const query = env.DB.prepare({json.dumps(QUERY)});
  const numbers = [...Array({QUERIES}).keys()];
  const found = await env.DB.batch(numbers.map((number) => query.bind(number)));
  if (!found.every(({{ results }}, number) => results[0].id === number)) throw new Error("lost");
}}

const PATHS = {{ "/kv": kv, "/sql": d1, "/batch": d1Batch }};

export default {{
  async fetch(request, env) {{
    await (filled ??= fill(env.DB));
    await PATHS[new URL(request.url).pathname](env);
    return new Response("hello");
  }},
}};
"""

PROGRAM: Final = """\
const { readFileSync } = require("node:fs");
const { Miniflare } = require("miniflare");
const [script, folder] = process.argv.slice(2);
const server = new Miniflare({
  modules: true, script: readFileSync(script, "utf8"), compatibilityDate: "2026-07-01", host: "127.0.0.1", port: 0,
  kvNamespaces: ["CACHE"], kvPersist: `${folder}/kv`, d1Databases: ["DB"], d1Persist: `${folder}/d1`,
});
server.ready.then((url) => console.log(`listening on port ${url.port}`));
process.on("SIGTERM", () => server.dispose().then(() => process.exit(0)));
"""


class Miniflare(HttpContestant):
    """KV and D1, kept on disk."""

    name = MINIFLARE
    about_path = "/kv"

    def available(self) -> str | None:
        """Whether Node.js and the package are installed."""
        if find(PROGRAMS["node"]) is None:
            return missing(PROGRAMS["node"])
        return None if PACKAGE.is_file() else "miniflare was not found: run `make bench`"

    def about(self) -> str:
        """Version and settings."""
        return f"miniflare {json.loads(PACKAGE.read_text())['version']}, JavaScript, state on disk"

    def prepare(self, folder: Path) -> None:
        """Write the worker, and the program that serves it."""
        (folder / "worker.mjs").write_text(WORKER)
        # Node.js looks for packages beside the program.
        program = PACKAGE.absolute().parents[2] / "miniflare_server.cjs"
        program.write_text(PROGRAM)
        self._program = program

    def spawn(self, cpu: int | None = None) -> Server:
        """A server on a port that it announces."""
        node = find(PROGRAMS["node"])
        if node is None:
            raise BenchError(missing(PROGRAMS["node"]))
        folder: Path = self._folder.path
        command = [str(node), str(self._program), str(folder / "worker.mjs"), str(folder / "state")]
        return Server(command, r"listening on port (?P<port>\d+)", cpu=cpu)

    def probes(self) -> Sequence[Probe]:
        """KV and D1."""
        return [
            Probe("kv", lambda: self.timed("/kv") / PAIRS, 20, 2),
            Probe("d1", lambda: self.timed("/sql") / QUERIES, 20, 2),
            Probe("d1_batch", lambda: self.timed("/batch") / QUERIES, 20, 2),
        ]
