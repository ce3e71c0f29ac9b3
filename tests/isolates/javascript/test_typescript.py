"""TypeScript: types are left out at deploy, in a sandbox."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.javascript import typescript
from pyworkerd_isolates.languages import JAVASCRIPT

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox


def test_typescript(sandbox: Sandbox) -> None:
    source = """
interface Env { NAME: string }
enum Color { Red, Green }
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    return new Response(`${Color.Green as number} ${help<string>("x")}`);
  },
} satisfies object;
import { help } from "./help";
"""
    helper = "export const help = <T,>(value: T): T => value;"
    with sandbox.start({"worker.ts": source, "help.ts": helper, "types.d.ts": "not ( code"}) as driver:
        assert driver.fetch().text == "1 x"


def test_typescript_that_is_wrong_names_its_file(sandbox: Sandbox) -> None:
    with pytest.raises(TopLevelRaised, match="SyntaxError") as caught:
        sandbox.image({"worker.ts": "import './b.ts'; export default {};", "b.ts": "let x: = 3;"})
    assert caught.value.file == "b.ts"


def test_only_files_with_types_are_touched(sandbox: Sandbox) -> None:
    files = {
        "w.ts": "export default {} as object;",
        "a.js": "let a  =  1",
        "b.d.ts": "type B = 1",
        "c.json": "{}",
    }
    compiled = sandbox.engines.of(JAVASCRIPT).prepared(Bundle.of(files))
    assert {name for name in files if compiled.files[name] != files[name].encode()} == {"w.ts"}
    plain = Bundle.of({"w.js": "export default {}"})
    assert sandbox.engines.of(JAVASCRIPT).prepared(plain) is plain


@pytest.mark.parametrize(
    ("source", "message"),
    [("export const a = 1;" * 10, "more than 100 bytes"), ("(" * 50, "TypeScript|SyntaxError")],
)
def test_hostile_sources(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setattr(typescript, "MAX_SOURCE", 100)
    with pytest.raises(TopLevelRaised, match=message):
        sandbox.engines.of(JAVASCRIPT).prepared(Bundle.of({"w.ts": source}))


@pytest.mark.parametrize("source", ["(" * 500_000, "[" * 500_000, "a?" * 200_000, "<T>" * 200_000])
def test_the_compiler_may_break_down_and_nothing_else(sandbox: Sandbox, source: str) -> None:
    engine = sandbox.engines.of(JAVASCRIPT)
    with pytest.raises(TopLevelRaised) as caught:
        engine.prepared(Bundle.of({"w.ts": source}))
    assert caught.value.file == "w.ts"
    fine = engine.prepared(Bundle.of({"w.ts": "export default {} as object;"}))
    assert fine.files["w.ts"] == b"export default {};\n"


def test_all_files_of_a_worker_share_the_compilers_time(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, typescript.BUDGET_MS / 1000 * 0.6)  # what each file takes
    monkeypatch.setattr(
        typescript, "time", SimpleNamespace(thread_time=lambda: next(clock), time_ns=time.time_ns)
    )
    files = {f"{name}.ts": "export default {} as object;" for name in "abc"}
    engine = sandbox.engines.of(JAVASCRIPT)
    engine.prepared(Bundle.of({name: files[name] for name in ("a.ts", "b.ts")}))
    with pytest.raises(TopLevelRaised, match="compile it before the deploy") as caught:
        engine.prepared(Bundle.of(files))
    assert caught.value.file == "c.ts"
