"""Where modules come from: relative files, packages, JSON and text, CommonJS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import TopLevelRaised

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

DEFAULT = "export default { async fetch() { return Response.json(%s); } };"


@pytest.fixture
def shown(start: Callable[..., Driver]) -> Callable[..., object]:
    """What a worker of these files shows: an expression after its imports."""

    def show(imports: str, expression: str, files: dict[str, str | bytes], main: str = "src/w.js") -> object:
        return start({main: f"{imports}\n{DEFAULT % expression}", **files}).fetch().json

    return show


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("./a.js", "src/a.js"),
        ("./a", "src/a.js"),
        ("./a", "src/a.ts"),
        ("./a.js", "src/a.ts"),
        ("./a", "src/a/index.js"),
        ("../a.mjs", "a.mjs"),
        ("./b/../a.js", "src/a.js"),
        ("/src/a.js", "src/a.js"),
        ("a.js", "a.js"),
    ],
)
def test_files(shown: Callable[..., object], name: str, file: str) -> None:
    assert shown(f"import a from '{name}';", "a", {file: "export default 'found';"}) == "found"


@pytest.mark.parametrize("name", ["./b.js", "../../a.js", "b", "node:repl", "http://x/a.js", "pyworkerd:entry",
                                  "pyworkerd:system/host", "/../a.js", "eval_script"])  # fmt: skip
def test_names_that_lead_nowhere(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(TopLevelRaised, match="No such module"):
        sandbox.image({"src/w.js": f"import '{name}'; {DEFAULT % '1'}", "a.js": ""})


def test_modules_of_the_guest_are_not_for_programs(start: Callable[..., Driver]) -> None:
    ways = (
        "import('pyworkerd:system/host')",
        "(0, eval)(\"import('pyworkerd:system/host')\")",
        "Function(\"return import('pyworkerd:system/host')\")()",
        "import('./pyworkerd:system/host.js').then((m) => m.inner())",
    )
    body = "; ".join(
        f"try {{ await {way}; found.push(1) }} catch (e) {{ found.push(e.name) }}" for way in ways
    )
    files = {
        "w.js": f"export default {{ async fetch() {{ const found = []; {body}; return Response.json(found); }} }};",
        "pyworkerd:system/host.js": "export const inner = () => import('pyworkerd:system/host');",
    }
    assert "1" not in start(files).fetch().text


def test_data(shown: Callable[..., object]) -> None:
    files: dict[str, str | bytes] = {
        "src/a.json": '{"x": [1], "default": 2}',
        "src/b.txt": "caf\u00e9",
        "src/c.bin": b"\x00\xff",
        "src/d.html": "<p>",
    }
    imports = (
        "import a, { x } from './a.json' with { type: 'json' }; import b from './b.txt'; "
        "import c from './c.bin'; import d from './d.html';"
    )
    expression = "[a.x, x, b, [...new Uint8Array(c)], d]"
    assert shown(imports, expression, files) == [[1], [1], "caf\u00e9", [0, 255], "<p>"]


def test_json_that_is_none(sandbox: Sandbox) -> None:
    with pytest.raises(TopLevelRaised, match=r"a\.json is not JSON"):
        sandbox.image({"w.js": f"import './a.json'; {DEFAULT % '1'}", "a.json": "{"})


PACKAGES = {
    "node_modules/one/package.json": '{"exports": {".": {"require": "./no.cjs", "workerd": "./w.js", "default": '
    '"./d.js"}, "./deep/*": "./lib/*.js", "./secret": null}, "type": "module"}',
    "node_modules/one/w.js": "export default 'workerd';",
    "node_modules/one/lib/x.js": "export default 'deep x';",
    "node_modules/one/secret.js": "",
    "node_modules/@scope/two/package.json": '{"main": "lib/main"}',
    "node_modules/@scope/two/lib/main.js": "exports.two = 2; exports.name = __filename; exports.__esModule = false;",
    "node_modules/three/index.js": "module.exports = function three() { return require('@scope/two').two + 1; };",
    "node_modules/four/package.json": '{"module": "es.js", "main": "no.js", "imports": {"#own": "./own.js"}}',
    "node_modules/four/es.js": "import own from '#own'; export default own;",
    "node_modules/four/own.js": "export default 'own';",
    "node_modules/five/index.cjs": "exports.loop = require('./other.cjs').value; exports.five = 5;",
    "node_modules/five/package.json": '{"exports": "./index.cjs"}',
    "node_modules/five/other.cjs": "exports.value = require('./index.cjs').five === undefined ? 'circle' : 'whole';",
    "src/node_modules/near/index.mjs": "export default 'near';",
}


@pytest.mark.parametrize(
    ("imports", "expression", "value"),
    [
        ("import x from 'one';", "x", "workerd"),
        ("import x from 'one/deep/x';", "x", "deep x"),
        ("import x, { two } from '@scope/two';", "[x.two, two]", [2, 2]),
        ("import x from 'three';", "x()", 3),
        ("import x from 'four';", "x", "own"),
        ("import x from 'five';", "[x.loop, x.five]", ["circle", 5]),
        ("import x from 'near';", "x", "near"),
    ],
)
def test_packages(shown: Callable[..., object], imports: str, expression: str, value: object) -> None:
    assert shown(imports, expression, PACKAGES) == value


@pytest.mark.parametrize("name", ["one/secret", "one/w.js", "one/lib/x.js", "absent", "@scope/none"])
def test_what_a_package_does_not_export(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(TopLevelRaised, match=r"does not export|No such module"):
        sandbox.image({"w.js": f"import '{name}'; {DEFAULT % '1'}", **PACKAGES})


def test_a_package_cannot_lead_out_of_itself(sandbox: Sandbox) -> None:
    files = {"node_modules/p/package.json": '{"exports": "./../../secret.js"}', "secret.js": ""}
    with pytest.raises(TopLevelRaised, match="No such module"):
        sandbox.image({"w.js": f"import 'p'; {DEFAULT % '1'}", **files})


def test_modules_are_evaluated_once_and_see_each_other(shown: Callable[..., object]) -> None:
    files = {
        "src/a.js": "import { b } from './b.js'; globalThis.runs = (globalThis.runs ?? 0) + 1; "
        "export const a = () => b;",
        "src/b.js": "import { a } from './a.js'; export const b = 'b'; export const later = () => a();",
    }
    imports = "import { a } from './a.js'; import * as b from './b.js';"
    assert shown(imports, "[a(), b.later(), globalThis.runs]", files) == ["b", "b", 1]


def test_import_when_a_request_is_there(shown: Callable[..., object]) -> None:
    files = {"src/late.js": "export default 'late';"}
    assert shown("", "(await import('./late.js')).default", files) == "late"


def test_top_level_await(shown: Callable[..., object]) -> None:
    files = {"src/a.js": "export const a = await Promise.resolve(4);"}
    assert shown("import { a } from './a.js';", "a", files) == 4


def test_what_has_become_a_module_is_found_again(start: Callable[..., Driver]) -> None:
    body = (
        "[await import('./a.js'), await import('./b.cjs'), await import('./w.js')].map((m) => Object.keys(m))"
    )
    source = f"import './a.js'; import './b.cjs'; {DEFAULT % body}"
    driver = start({"w.js": source, "a.js": "export const a = 1;", "b.cjs": "exports.b = 2;"})
    assert driver.fetch().json == [["a"], ["b", "default"], ["default"]]


def test_sources_of_modules_are_no_part_of_the_image(start: Callable[..., Driver]) -> None:
    comment, text = "// " + "x" * 100_000, "y" * 100_000
    driver = start({"w.js": f"import './a.js'; {DEFAULT % '1'}", "a.js": comment, "c.txt": text})
    memory = driver.isolate.memory()
    assert comment.encode() not in memory
    assert text.encode() in memory  # it can still be imported


def test_what_failed_once_is_run_again_and_not_found_half_done(shown: Callable[..., object]) -> None:
    files = {
        "src/a.cjs": "try { require('./b.cjs') } catch (error) { exports.first = error.message }\n"
        "exports.second = require('./b.cjs')",
        "src/b.cjs": "exports.half = true; globalThis.n = (globalThis.n ?? 0) + 1;\n"
        "if (globalThis.n < 2) throw new Error('not yet'); exports.whole = true",
    }
    found = {"first": "not yet", "second": {"half": True, "whole": True}}
    assert shown("import a from './a.cjs';", "a", files) == found


def test_what_other_tools_leave_at_the_beginning_of_files(shown: Callable[..., object]) -> None:
    files = {
        "src/a.cjs": "#!/usr/bin/env node\nmodule.exports = 1",
        "src/b.json": "\ufeff2",
        "src/c.cjs": "\ufeffmodule.exports = 3",
        "src/node_modules/d/package.json": "null",
        "src/node_modules/d/index.js": "module.exports = 4",
    }
    imports = "import a from './a.cjs'; import b from './b.json'; import c from './c.cjs'; import d from 'd';"
    assert shown(imports, "[a, b, c, d]", files) == [1, 2, 3, 4]


@pytest.mark.parametrize(("main", "other"), [(b"// \xff", b""), (b"import './a.js';", b"// \xff")])
def test_files_that_are_not_utf_8(sandbox: Sandbox, main: bytes, other: bytes) -> None:
    with pytest.raises(TopLevelRaised, match=r"[wa]\.js is not UTF-8") as caught:
        sandbox.image({"w.js": main, "a.js": other})
    assert caught.value.file in ("w.js", "a.js")


def test_an_import_that_fails_in_a_handler_says_why(start: Callable[..., Driver]) -> None:
    source = "export default { async fetch(request) { await import(new URL(request.url).searchParams.get('n')); } };"
    driver = start({"w.js": source, "a.json": "{", "b.cjs": "throw new RangeError('in b')"})
    for name, kind, message in [
        ("./a.json", "SyntaxError", "a.json is not JSON"),
        ("./b.cjs", "RangeError", "in b"),
        ("./none.js", "TypeError", 'No such module "./none.js", imported from "w.js"'),
    ]:
        failure = driver.fetch(f"http://a/?n={name}").failure
        assert failure is not None
        assert (failure.type_name, message in failure.message) == (kind, True)
        assert "pyworkerd:" not in failure.traceback


def test_where_a_module_is(start: Callable[..., Driver]) -> None:
    files = {
        "src/w.js": """
        import { createRequire } from "node:module";
        import { dirname } from "node:path";
        import { fileURLToPath } from "node:url";
        import other from "../lib/a b.mjs";
        import third from "p";
        const here = import.meta;
        const require = createRequire(import.meta.url);
        const again = createRequire(fileURLToPath(import.meta.url));
        export default { async fetch() {
          const loaded = await import(new URL("../lib/a b.mjs", import.meta.url));
          return Response.json([
            here.url, here.main, here === import.meta, dirname(fileURLToPath(here.url)), other, third,
            require("./c.json").c, again("./c.json").c, loaded.default[0] === other[0], here.resolve("./x.js"),
          ]);
        } };
        """,
        "lib/a b.mjs": "export default [import.meta.url, import.meta.main];",
        "src/c.json": '{"c": 3}',
        "node_modules/p/package.json": '{"module": "m.mjs"}',
        "node_modules/p/m.mjs": "#!/usr/bin/env node\nexport default import.meta.url;",
    }
    lib = ["file:///bundle/lib/a%20b.mjs", False]
    third = "file:///bundle/node_modules/p/m.mjs"
    expected = ["file:///bundle/src/w.js", True, True, "/bundle/src", lib, third]
    assert start(files).fetch().json == [*expected, 3, 3, True, "file:///bundle/src/x.js"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_where_a_module_is_that_begins_with_a_hashbang(shown: Callable[..., object], end: str) -> None:
    files = {"src/a.js": f"#!/usr/bin/env node{end}export default import.meta.url;"}
    assert shown("import a from './a.js';", "a", files) == "file:///bundle/src/a.js"


@pytest.mark.parametrize("name", ["file:///a.js", "file:///bundle/b.js", "file://x/bundle/a.js"])
def test_urls_of_files_lead_to_the_programs_alone(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(TopLevelRaised, match="No such module"):
        sandbox.image({"src/w.js": f"import '{name}'; {DEFAULT % '1'}", "a.js": "", "x/bundle/a.js": ""})


@pytest.mark.parametrize("source", ["{}1 / (0, null).x;", "#!/usr/bin/env node\n{}(0, null).x;"])
def test_what_fills_it_moves_no_column(sandbox: Sandbox, source: str) -> None:
    def told(filled: str) -> str:
        with pytest.raises(TopLevelRaised) as raised:
            sandbox.image({"w.js": source.format(filled)})
        return str(raised.value)

    assert told("import.meta.url;") == told("'impor.met.url';")


@pytest.mark.parametrize(
    ("about", "name", "expected"),
    [
        ('{"main": "m.js", "browser": "b.js"}', "p", "b"),
        ('{"main": "m.js", "module": "e.mjs", "browser": "b.js"}', "p", "b"),
        ('{"main": "m.js", "browser": "gone.js"}', "p", "m"),
        ('{"main": "m.js", "browser": {"./m.js": "./b.js"}}', "p", "b"),
        ('{"main": "./m", "browser": {"./m": "./b"}}', "p", "b"),
        ('{"main": "m.js", "browser": {"./m.js": false}}', "p", {}),
        ('{"main": "uses.js", "browser": {"./m.js": "./b.js"}}', "p", ["b", "q"]),
        ('{"main": "uses.js", "browser": {"q": "./b.js"}}', "p", ["m", "b"]),
        ('{"main": "uses.js", "browser": {"q": "r"}}', "p", ["m", "r"]),
        ('{"main": "uses.js", "browser": {"q": false, "./m.js": 7, "./b.js": null}}', "p", ["m", {}]),
        ('{"main": "uses.js", "browser": {"q": "../../../src/secret.js"}}', "p", ["m", "q"]),
        ('{"main": "uses.js", "browser": null}', "p", ["m", "q"]),
        ('{"exports": {"browser": "./b.js", "default": "./m.js"}, "browser": "m.js"}', "p", "b"),
        ('{"exports": "./m.js", "browser": "b.js"}', "p", "m"),
        ('{"main": "m.js", "browser": {"./m.js": "./b.js"}}', "p/m.js", "b"),
    ],
)
def test_what_a_package_says_of_browsers(
    shown: Callable[..., object], about: str, name: str, expected: object
) -> None:
    files = {
        "node_modules/p/package.json": about,
        "node_modules/p/m.js": "module.exports = 'm';",
        "node_modules/p/b.js": "module.exports = 'b';",
        "node_modules/p/e.mjs": "export default 'e';",
        "node_modules/p/uses.js": "module.exports = [require('./m'), require('q')];",
        "node_modules/q/index.js": "module.exports = 'q';",
        "node_modules/r/index.js": "module.exports = 'r';",
        "src/secret.js": "module.exports = 'secret';",
    }
    assert shown(f"import p from '{name}';", "p", files) == expected


def test_what_a_package_says_of_browsers_is_about_itself_alone(shown: Callable[..., object]) -> None:
    files = {
        "package.json": '{"browser": {"q": "r"}}',
        "node_modules/p/package.json": '{"browser": {"q": "r"}}',
        "node_modules/p/index.js": "module.exports = require('q');",
        "node_modules/q/index.js": "module.exports = 'q';",
        "node_modules/r/index.js": "module.exports = 'r';",
    }
    assert shown("import p from 'p'; import q from 'q';", "[p, q]", files) == ["r", "q"]
