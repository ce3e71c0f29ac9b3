"""How JSX becomes calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.javascript.jsx import MAX_CONFIG, pragmas

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox

AUTOMATIC = b"/** @jsxRuntime automatic */ "
HONO = b"/** @jsxImportSource hono/jsx */ "
CLASSIC = b"/** @jsxRuntime classic */ /** @jsx h */ /** @jsxFrag Fragment */ "
FACTORIES = '"jsx": "react", "jsxFactory": "h", "jsxFragmentFactory": "Fragment"'


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("a.tsx", {}, b""),
        ("a.tsx", {"tsconfig.json": "{}"}, b""),
        ("a.tsx", {"tsconfig.json": ""}, b""),
        ("a.tsx", {"tsconfig.json": '{"compilerOptions": {"jsx": "react-jsx"}}'}, AUTOMATIC),
        ("a.jsx", {"tsconfig.json": '{"compilerOptions": {"jsxImportSource": "hono/jsx"}}'}, HONO),
        ("a.jsx", {"jsconfig.json": '{"compilerOptions": {"jsxImportSource": "hono/jsx"}}'}, HONO),
        ("a/b.tsx", {"tsconfig.json": f'{{"compilerOptions": {{{FACTORIES}}}}}'}, CLASSIC),
        ("a/b.tsx", {"a/tsconfig.json": "{}", "tsconfig.json": '{"compilerOptions": {"jsx": "react"}}'}, b""),
        ("a.tsx", {"tsconfig.json": '\ufeff{ // x\n "compilerOptions": { /* "," */ "jsx": "react-jsx", }, }'},
         AUTOMATIC),
        ("a.tsx", {"tsconfig.json": '{"a": "//,}", "compilerOptions": {"jsx": "preserve", "jsxFactory": 1}}'}, b""),
        ("a.ts", {"tsconfig.json": "not JSON"}, b""),
        ("node_modules/p/a.jsx", {"tsconfig.json": "not JSON"}, b""),
    ],
)  # fmt: skip
def test_comments(name: str, files: dict[str, str], expected: bytes) -> None:
    given_files = {name: b"export {};", **{each: text.encode() for each, text in files.items()}}
    assert pragmas(given_files, name) == expected


@pytest.mark.parametrize(
    "text", ["/** @jsxImportSource x */", "/* @jsx h */", "// @jsxRuntime classic", "#!x"]
)
def test_what_a_file_says_itself_counts(text: str) -> None:
    assert pragmas({"a.tsx": text.encode(), "tsconfig.json": b"not JSON"}, "a.tsx") == b""


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "not JSON with comments"),
        ("[" * 60_000, "not JSON with comments"),
        ("/*" * 30_000, "not JSON with comments"),
        ('"' * 60_001, "not JSON with comments"),
        ("\\" * 1000, "not JSON with comments"),
        (" " * (MAX_CONFIG + 1), "more than"),
        ('{"compilerOptions": {"jsxImportSource": "x */ evil() /*"}}', "jsxImportSource is no name"),
        ('{"compilerOptions": {"jsxFactory": "a\\nb"}}', "jsxFactory is no name"),
    ],
)
def test_hostile_configurations(config: str, message: str) -> None:
    files = {"a.tsx": b"", "tsconfig.json": config.encode()}
    with pytest.raises(TopLevelRaised, match=message) as caught:
        pragmas(files, "a.tsx")
    assert caught.value.file == "tsconfig.json"


@given(st.text('"\\/*,]}[{: \n1a', max_size=40))
def test_comments_and_last_commas_are_nothing_else(text: str) -> None:
    config = {"note": text, "list": [text, text], "compilerOptions": {"jsx": "react"}}
    written = json.dumps(config, indent=1).replace("\n]", ",/* ] */\n]").replace("}}", "},}")
    assert (
        pragmas({"a.tsx": b"", "tsconfig.json": written.encode()}, "a.tsx") == b"/** @jsxRuntime classic */ "
    )


RUNTIME = (
    "export const jsx = (type, props) => `<${type}>${props.children}</${type}>`; export const Fragment = '';"
)


def test_a_worker_with_jsx(sandbox: Sandbox) -> None:
    files = {
        "w.tsx": "export default { fetch: (request: Request) => new Response(<p>{request.method}</p>) };",
        "tsconfig.json": '{"compilerOptions": {"jsxImportSource": "own"}}',
        "node_modules/own/jsx-runtime.js": RUNTIME,
    }
    with sandbox.start(files) as driver:
        assert driver.fetch().text == "<p>GET</p>"


def test_a_runtime_that_is_missing_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(TopLevelRaised, match=r'No such module "react/jsx-runtime", imported from "w\.jsx"'):
        sandbox.image({"w.jsx": "export default { fetch: () => new Response(<p>x</p>) };"})
