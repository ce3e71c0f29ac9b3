"""HTMLRewriter in workers: made at deploy where a program names it, else when somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

REWRITES = """
const rewriter = () => new HTMLRewriter().on("p", { async element(e) { await null; e.append("!"); } });
export default { fetch: (request) => rewriter().transform(new Response("<p>x</p>", request)) };
"""
UNNAMED = 'const Kind = globalThis["HTML" + "Rewriter"];'


def test_a_worker_that_names_it(start: Callable[..., Driver]) -> None:
    run = start({"w.js": f"const before = typeof HTMLRewriter;\n{REWRITES}"}).fetch()
    assert (run.status, run.text, run.done) == (200, "<p>x!</p>", True)


def test_one_that_does_not_name_it_can_still_come_by_it(start: Callable[..., Driver]) -> None:
    made = 'new Kind().on("b", { element(e) { e.remove(); } })'
    body = f'{UNNAMED} return {made}.transform(new Response("<b></b>x"));'
    driver = start({"w.js": f"export default {{ async fetch() {{ {body} }} }};"})
    assert [driver.fetch().text for _ in range(2)] == ["x", "x"]


def test_in_commonjs(start: Callable[..., Driver]) -> None:
    driver = start(
        {
            "w.js": "import make from './a.cjs'; export default { fetch: () => make() };",
            "a.cjs": "module.exports = () => new HTMLRewriter().transform(new Response('common'));",
        }
    )
    assert driver.fetch().text == "common"


def test_a_program_may_have_one_of_its_own(start: Callable[..., Driver]) -> None:
    shown = f"export default {{ fetch() {{ {UNNAMED} return new Response(`${{Kind}}`); }} }};"
    sources = [
        f"globalThis.HTMLRewriter = 1; {shown}",
        f"globalThis['HTML' + 'Rewriter'] = 1; {shown}",
        f"globalThis['HTML' + 'Rewriter'] = 1; import('./named.js'); {shown}",
        "class HTMLRewriter {} export default { fetch: () => new Response(HTMLRewriter.name.length - 11) };",
    ]
    files = {"named.js": "HTMLRewriter;"}
    assert [start({"w.js": source, **files}).fetch().text for source in sources] == ["1"] * 4


def test_only_those_that_name_it_pay_for_it(start: Callable[..., Driver]) -> None:
    plain, named = (
        start({"w.js": f"{comment} export default {{ fetch() {{ return new Response('x'); }} }};"})
        .isolate.memory()
        .count(0)
        for comment in ("", "/* HTMLRewriter */")
    )
    assert plain > named + (64 << 10)


def test_who_reads_no_more_is_not_waited_for(start: Callable[..., Driver]) -> None:
    never = 'new HTMLRewriter().on("p", { element: () => new Promise(() => {}) })'
    driver = start({"w.js": f'export default {{ fetch: () => {never}.transform(new Response("a<p>")) }};'})
    run = driver.fetch()
    assert (run.status, run.done) == (200, False)
    driver.stop(*driver.streams)
    driver.settle()
    assert (run.done, run.logs) == (True, [])


def test_names_of_documents_are_not_kept(start: Callable[..., Driver]) -> None:
    """Those of another document than the one that is read now, where they are long."""
    tags = (
        'Array.from({ length: 100 }, (_, n) => `<${"x".repeat(20_000)}${n}${request.url.at(-1)}>`).join("")'
    )
    body = f"return new HTMLRewriter().transform(new Response({tags}));"
    driver = start({"w.js": f"export default {{ fetch(request) {{ {body} }} }};"})
    sizes = []
    for letter in "abcdefgh":
        assert driver.fetch(f"http://x/{letter}").complete
        sizes.append(driver.isolate.memory_size)
    assert sizes[-1] - sizes[1] < 1 << 20
