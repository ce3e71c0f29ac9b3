"""A project with everything that a compiled file can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
state_dir = "state"
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "w"
[[services]]
name = "w"
[services.worker]
main = "src/w.js"
assets = { directory = "public", binding = "PAGES" }
[services.worker.bindings]
GREETING = { text = "hello" }
TOKEN = { secret = "TOKEN" }
LOGO = { data = { file = "logo.png" } }
DB = { d1 = "db", migrations = "sql" }
FILES = { service = "files" }
[[services]]
name = "files"
disk = { path = "files" }
[[services]]
name = "inbox"
disk = { path = "inbox", writable = true }
"""
WORKER = """\
import { word } from "./lib/word.js";
export default {
  async fetch(request, env) {
    const { n } = await env.DB.prepare("SELECT count(*) AS n FROM t").first();
    const file = await (await env.FILES.fetch("http://x/a.txt")).text();
    return Response.json([word, env.TOKEN, [...env.LOGO], n, file]);
  },
};
"""
FILES = {
    "config.toml": CONFIG,
    ".dev.vars": "TOKEN=swordfish\n",
    "src/w.js": WORKER,
    "src/lib/word.js": 'export const word = "word";\n',
    "src/.hidden": "swordfish",
    "public/index.html": "<p>page</p>",
    "public/_headers": "/*\n  X-A: b\n",
    "public/.hidden": "swordfish",
    "logo.png": "\x01\x02",
    "sql/0001_t.sql": "CREATE TABLE t (a);\nINSERT INTO t VALUES (1);",
    "sql/note.txt": "none",
    "files/a.txt": "file",
    "files/.hidden": "swordfish",
    "inbox/letter": "swordfish",
    "state/stored": "swordfish",
}


def project(folder: Path, config: str = CONFIG) -> Path:
    """Write it; returns the path of its configuration."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config if name == "config.toml" else text)
    return folder / "config.toml"
