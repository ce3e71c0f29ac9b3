"""What Node.js answers to expressions, and what a worker does: tables that were made with Node.js, see data/node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

FOLDER = Path(__file__).with_name("data") / "node"
ANSWERING = """
function shown(run) {
  try { return util.inspect(run(), { depth: 4 }); }
  catch (e) { return `${e.name} ${e.code ?? ""}: ${String(e.message).split("\\n")[0]}`; }
}
export default {
  async fetch(request) {
    return Response.json((await request.json()).map((expression) => shown(() => eval(expression))));
  },
};
"""
"""Needs `util` among what is imported."""


def differences(start: Callable[..., Driver], table: str, imports: str) -> list[tuple[str, str, str]]:
    """Expressions of a table whose answer is another, with both answers. `imports` is what they use."""
    rows = json.loads((FOLDER / f"{table}.json").read_text(encoding="utf-8"))
    expressions = json.dumps([expression for expression, _ in rows]).encode()
    answers = start({"w.js": imports + ANSWERING}).fetch(method="POST", body=expressions).json
    assert rows
    return [
        (expression, wanted, got)
        for (expression, wanted), got in zip(rows, answers, strict=True)
        if wanted != got
    ]
