"""The tokenizer of HTMLRewriter against the tests of html5lib, whole and cut into pieces."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

_DATA = Path(__file__).parents[2] / "data/html5lib/tokenizer.json.gz"
SUITES: dict[str, list[dict[str, Any]]] = json.loads(gzip.decompress(_DATA.read_bytes()))

IMPORTS = """
import {
  COMMENT, DOCTYPE, END, END_TAG, MORE, START_TAG, TEXT, Tokenizer, attributesOf, declared,
} from "pyworkerd:web/html/tokenizer";
"""
READ = """
const read = (pieces, mode, element, cdata) => {
  const tokenizer = new Tokenizer();
  tokenizer.cdata = cdata;
  if (mode !== null) tokenizer.expect(mode, element);
  const found = [];
  let raw = "";
  const queue = [...pieces];
  for (;;) {
    const kind = tokenizer.next();
    if (kind === END) return [found, raw];
    if (kind === MORE) {
      if (queue.length === 0) tokenizer.finish();
      else tokenizer.write(queue.shift());
      continue;
    }
    const { buffer, start, end, name, inside, outside, selfClosing } = tokenizer;
    raw += buffer.slice(start, end);
    if (kind === TEXT) found.push(["Character", buffer.slice(start, end)]);
    if (kind === COMMENT) found.push(["Comment", buffer.slice(inside, outside)]);
    if (kind === DOCTYPE) {
      const { name, publicId, systemId } = declared(buffer.slice(inside, outside));
      found.push(["DOCTYPE", name, publicId, systemId]);
    }
    if (kind === END_TAG) found.push(["EndTag", name]);
    if (kind === START_TAG) {
      const attributes = attributesOf(buffer.slice(inside, outside)).map(({ name, value }) => [name, value]);
      found.push(["StartTag", name, attributes, selfClosing]);
    }
  }
};
return cases.map(([pieces, mode, element, cdata]) => read(pieces, mode, element, cdata));
"""
MODES = {
    "Data state": None,
    "PLAINTEXT state": "plaintext",
    "RCDATA state": "escapable",
    "RAWTEXT state": "escapable",
    "Script data state": "script",
    "CDATA section state": "cdata",
}


def as_bytes(text: str) -> str:
    """A character for each byte, as the tokenizer has them."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def as_text(value: Any) -> Any:
    """The text again, as the tests write it: after the steps that HTML takes before tokens and in them."""
    if isinstance(value, list):
        return [as_text(each) for each in value]
    if not isinstance(value, str):
        return value
    text = value.encode("latin-1").decode("utf-8", "surrogatepass")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def expected(output: list[Any]) -> list[Any]:
    """Without errors, and without what says only that there was one."""
    tokens: list[Any] = []
    for token in output:
        if isinstance(token, str):
            continue
        kind, *rest = token
        if kind == "StartTag":
            tokens.append([kind, rest[0], [list(pair) for pair in rest[1].items()], len(rest) > 2])
        elif kind == "DOCTYPE":
            tokens.append([kind, *rest[:3]])
        elif kind == "Character" and tokens and tokens[-1][0] == kind:
            tokens[-1] = [kind, tokens[-1][1] + rest[0]]
        else:
            tokens.append([kind, *rest])
    return [as_nul(token) for token in tokens]


def as_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [as_nul(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def joined(tokens: list[Any]) -> list[Any]:
    """Texts that follow each other as one; the first of attributes that are there twice."""
    found: list[Any] = []
    for each in tokens:
        token = each
        if token[0] == "StartTag":
            first: dict[str, str] = {}
            for name, value in token[2]:
                first.setdefault(name, value)
            token = [*token[:2], [list(pair) for pair in first.items()], token[3]]
        if token[0] == "Character" and found and found[-1][0] == "Character":
            found[-1] = ["Character", found[-1][1] + token[1]]
        else:
            found.append(token)
    return found


def cases(suite: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Each test in each state that it is for. Character references are left out: they go out as they are."""
    return [
        (test, state)
        for test in suite
        for state in test.get("initialStates", ["Data state"])
        if "&" not in test["input"] and not test.get("doubleEscaped")
        # Only a script has a script's text.
        if not (state.startswith("Script") and test.get("lastStartTag", "script") != "script")
    ]


@pytest.mark.parametrize("suite", SUITES)
def test_tokens_are_those_of_html5lib(run: Callable[..., Any], suite: str) -> None:
    tests = cases(SUITES[suite])
    assert tests
    whole, bits = [], []
    for test, state in tests:
        text = as_bytes(test["input"])
        rest = [MODES[state], test.get("lastStartTag", "x"), state.startswith("CDATA")]
        whole.append([[text], *rest])
        bits.append([list(text), *rest])
    outcomes = run(READ, IMPORTS, cases=[*whole, *bits])
    for (test, state), (tokens, raw) in zip([*tests, *tests], outcomes, strict=True):
        about = (test["description"], state, test["input"])
        assert raw == as_bytes(test["input"]), about
        assert (about, as_text(joined(tokens))) == (about, expected(test["output"]))


PARTS = [
    "<", ">", "</", "/>", "=", "'", '"', " ", "\n", "a", "B", "<a", "<p>", "</p>", "<!--", "-->", "--!>", "-", "<!",
    "<?", "<!doctype html>", "<script>", "</script>", "<!--<script ", "<title>", "</title ", "<![CDATA[", "]]>", "x=y",
    "\0", "é", "\U0001f600", "<plaintext>", "&amp;",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=30), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_where_it_is_cut_changes_nothing(run: Callable[..., Any], parts: list[str], sizes: list[int]) -> None:
    text = as_bytes("".join(parts))
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    given = [
        [each, mode, "script", cdata]
        for mode, cdata in [(None, False), (None, True), ("script", False), ("escapable", False)]
        for each in ([text], pieces)
    ]
    outcomes = run(READ, IMPORTS, cases=given)
    for whole, cut in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert whole[1] == cut[1] == text
        assert joined(whole[0]) == joined(cut[0])
