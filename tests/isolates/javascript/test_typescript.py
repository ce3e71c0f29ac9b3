"""TypeScript: types are left out at deploy, in a sandbox."""

from __future__ import annotations

import itertools
import re
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


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("let x: = 3;", 1),
        ("let a = 1;\n\nlet x: = 3;\nlet y: = 4;\n", 3),
        ("export default {\n  fetch(r: A: B) {\n    return 1;\n  }\n};\n", 2),
        ("const a = `\n\n${1 +}`;\nconst b = 1;", 3),
        ("/* a\n b */ let a: number = 1;\r\nlet 1b;\r\n", 3),
        ("export default {\n  a: 1,\n", 2),
        ("const a = 'x\nconst b = 1;", 1),
    ],
)
def test_and_the_line(sandbox: Sandbox, source: str, line: int) -> None:
    with pytest.raises(TopLevelRaised, match="SyntaxError") as caught:
        sandbox.engines.of(JAVASCRIPT).prepared(Bundle.of({"w.ts": source}))
    assert (caught.value.line, "w.ts" in str(caught.value)) == (line, False), caught.value


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
    assert fine.files["w.ts"].split(typescript.MARK)[0] == b"export default {};\n"


THROWING = """\
interface Fault { code: number }
type Kind = "a" | "b";

enum Color { Red, Green }

export function fail<T extends Fault>(value: T, kind?: Kind): never {
  const colour: Color = Color.Green;

  throw new TypeError(`code ${value.code as number} ${colour} ${kind}`);
}
"""
CALLING = """\
import { fail } from "./fail.ts";

abstract class Base { abstract name: string }

export default {
  async fetch(request: Request): Promise<Response> {
    const how: string = new URL(request.url).pathname;
    if (how === "/log") { try { fail({ code: 1 }); } catch (error: unknown) { console.log(error); } }
    else if (how === "/later") {
      setTimeout(() => fail<{ code: number }>({ code: 2 }, "a"), 1);
      await scheduler.wait(5);
    } else fail({ code: 3 } satisfies object);
    return new Response("done");
  },
};
"""


@pytest.mark.parametrize(("how", "line"), [("log", 8), ("later", 10), ("throw", 12)])
def test_stacks_have_the_lines_of_the_source(sandbox: Sandbox, how: str, line: int) -> None:
    with sandbox.start({"w.ts": CALLING, "fail.ts": THROWING}) as driver:
        run = driver.fetch(f"http://a/{how}")
        told = run.failure.traceback if run.failure is not None else run.logs[0].message
    assert re.search(r"at fail \(/fail\.ts:9:\d+\)\n +at .*\(/w\.ts:" + f"{line}:", told), told


def test_a_top_level_that_throws_is_told_by_its_line(sandbox: Sandbox) -> None:
    with pytest.raises(TopLevelRaised) as caught:
        sandbox.image(
            {"w.ts": 'type A = 1;\n\nimport "./fail.ts";\nthrow new Error("x");', "fail.ts": THROWING}
        )
    assert (caught.value.file, caught.value.line) == ("w.ts", 4)


def test_mappings_have_a_bound_and_are_of_the_workers_own_files(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typescript, "MAX_MAPPED", 100)
    files = {"w.ts": "export default {} as object;" * 1, "node_modules/a/a.ts": "1;", "z.ts": "2;" * 50}
    compiled = sandbox.engines.of(JAVASCRIPT).prepared(Bundle.of(files)).files
    assert [name for name in files if typescript.MARK in compiled[name]] == ["w.ts"]


@pytest.mark.parametrize("word", ["a", "\u00e9", "<a/>"])
def test_words_that_are_mapped_have_a_bound(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr(typescript, "MAX_WORDS", 50)
    files = {"w.tsx": "export const few = 1;", "x.tsx": f"[{f'{word},' * 50}];", "y.tsx": "export {};"}
    compiled = sandbox.engines.of(JAVASCRIPT).prepared(Bundle.of(files)).files
    assert [name for name in files if typescript.MARK in compiled[name]] == ["w.tsx"]


@pytest.mark.parametrize("end", ["", "AAAA,,;;*", ";" * 1000, "9" * 1000])
def test_mappings_that_a_program_wrote_itself_do_no_harm(sandbox: Sandbox, end: str) -> None:
    source = f"export default {{ fetch() {{ throw new Error('x'); }} }};{typescript.MARK.decode()}{end}"
    with sandbox.start({"w.js": source}) as driver:
        failure = driver.fetch().failure
        assert failure is not None
        assert failure.message == "x"


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
