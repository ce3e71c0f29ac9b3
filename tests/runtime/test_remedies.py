"""What to write instead, where a language tells a mistake in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.remedies import remedy_of
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

JS = "export default { fetch() { return new Response('x'); } };"
PY = "from workers import Response\nasync def on_fetch(request): return Response('x')\n"
MISTAKES = {
    "w.py:1: ModuleNotFoundError: No module named 'requests': install it beside the worker": f"import requests\n{PY}",
    "(for example numpy); packages that have parts in C or Rust do not run": f"import numpy.linalg\n{PY}",
    "w.py:1: ModuleNotFoundError: No module named 'js': this is no Pyodide": f"from js import Response\n{PY}",
    "w.py:1: SyntaxError: 'await' outside function: nothing can be awaited at the top": f"await x\n{PY}",
    "cannot contain null bytes: save the file as UTF-8": PY.encode("utf-16").decode("latin-1"),
    "w.js:1: ReferenceError: module is not defined: write `export default { ... }`": "module.exports = {};",
    "w.js:2: ReferenceError: require is not defined: write `import x from": f"\nrequire('a');{JS}",
    'No such module "hono/jsx", imported from "w.js": install it beside the worker (npm install hono)': (
        f"import a from 'hono/jsx';{JS}"
    ),
    "(npm install @scope/a.b)": f"import a from '@scope/a.b';{JS}",
    "`paths` of tsconfig.json is not read": f"import a from '@/lib';{JS}",
    'No such module "./lib/a.js", imported from "w.js": correct the path': f"import a from './lib/a.js';{JS}",
    "in module '/b.js': write `export` before it there": f"import {{ y }} from './b.js';{JS}",
    "in module '/b.js': write `export default` there": f"import y from './b.js';{JS}",
    "w.js:1: SyntaxError: unexpected 'await' keyword: write `async`": "export default { fetch() { await 1; } };",
    "decorators have to be compiled": f"@a class A {{}};{JS}",
    "at the top level of a worker there is no I/O: move it into a handler": f"await fetch('http://x/');{JS}",
}


def test_each_is_told_where_it_is_and_what_to_write(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        for told, source in MISTAKES.items():
            name = "w.py" if source[-1] in "\n\0" else "w.js"
            files = {name: source, "b.js": "export const x = 1;"}
            with pytest.raises(ConfigurationError) as raised:
                await runtime.load(files, limits=Limits(startup_ms=10_000))
            assert told in str(raised.value)

    with_runtime(main)


@pytest.mark.parametrize(
    "error", ["", "ValueError: no", 'TypeError: No such module "http://x/a.js".', "x\n" * 9]
)
def test_where_it_is_enough_nothing_is_added(error: str) -> None:
    assert remedy_of(error) is None


def test_what_a_program_says_is_no_template() -> None:
    said = remedy_of("ModuleNotFoundError: No module named 'a\\\\1\\\\g<0>'")
    assert said is not None
    assert "(for example a)" in said
