"""Documents that nobody changes: what goes out is what came in, whatever the pieces and whoever listens."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.isolates.javascript.web.html.test_tokenizer import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORTS = 'import { HTMLRewriter } from "pyworkerd:web/html/rewriter";'
REWRITE = """
const bytes = Uint8Array.fromBase64(html);
const nothing = { doctype() {}, element(e) { e.onEndTag(() => {}); }, comments() {}, text() {}, end() {} };
const slow = Object.fromEntries(Object.keys(nothing).map((name) => [name, async () => null]));
const listeners = [
  [], [["*", nothing]], [["p", nothing], ["svg *", slow]], [[null, nothing], ["b > :not(p):nth-child(2)", slow]],
];
const out = [];
for (const rules of listeners) {
  const rewriter = new HTMLRewriter();
  for (const [selector, handlers] of rules) {
    if (selector === null) rewriter.onDocument(handlers);
    else rewriter.on(selector, handlers);
  }
  let at = 0;
  let count = 0;
  const pull = (controller) => {
    if (at >= bytes.length) return controller.close();
    const size = sizes[count++ % sizes.length];
    controller.enqueue(bytes.slice(at, at + size));
    at += size;
  };
  const headers = { "content-type": `text/html;charset=${charset}` };
  const response = new Response(new ReadableStream({ pull }), { headers });
  out.push((await rewriter.transform(response).bytes()).toBase64());
}
return out;
"""

CHANGE = """
const rules = {
  p: (e) => e.append("<p>").before("1").setAttribute("é", `"${e.getAttribute("x")}`),
  b: (e) => e.remove().after("2"),
  "svg *": (e) => e.replace("3"),
  title: (e) => { e.setInnerContent("4"); e.onEndTag((end) => { end.name = "x"; }); },
  "p > a": (e) => { e.removeAndKeepContent(); e.tagName = "y"; },
};
const rewrite = async (pieces) => {
  const rewriter = new HTMLRewriter();
  for (const [selector, element] of Object.entries(rules)) rewriter.on(selector, { element });
  rewriter.on("a", { text(t) { if (t.lastInTextNode) t.after("5"); else t.remove(); } });
  rewriter.onDocument({ comments(c) { c.replace(`6${c.text}`); }, end: (end) => end.append("7") });
  return (await rewriter.transform(new Response(ReadableStream.from(pieces))).bytes()).toBase64();
};
const bytes = Uint8Array.fromBase64(html);
const pieces = [];
for (let at = 0, count = 0; at < bytes.length; count += 1) {
  const size = sizes[count % sizes.length];
  pieces.push(bytes.slice(at, at + size));
  at += size;
}
return [await rewrite(bytes.length > 0 ? [bytes] : []), await rewrite(pieces)];
"""

bytes_of_documents = st.lists(
    st.sampled_from([part.encode() for part in PARTS]) | st.binary(max_size=4), max_size=40
).map(b"".join)


@given(
    bytes_of_documents,
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "windows-1252", "gb18030"]),
)
def test_what_nobody_changes_goes_out_as_it_came(
    run: Callable[..., Any], html: bytes, sizes: list[int], charset: str
) -> None:
    given = base64.b64encode(html).decode()
    assert run(REWRITE, IMPORTS, html=given, sizes=sizes, charset=charset) == [given] * 4


@given(bytes_of_documents, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_where_it_is_cut_changes_nothing_of_what_handlers_do(
    run: Callable[..., Any], html: bytes, sizes: list[int]
) -> None:
    whole, cut = run(CHANGE, IMPORTS, html=base64.b64encode(html).decode(), sizes=sizes)
    assert base64.b64decode(whole) == base64.b64decode(cut)
