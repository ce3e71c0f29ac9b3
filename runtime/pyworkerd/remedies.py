"""What to write instead, for mistakes at a worker's top level that its language tells in its own words. A table; pure.

The languages' own words are for those who know what runs where: that `require` is not defined says nothing to somebody
whose program runs in Node.js as it is.
"""

from __future__ import annotations

import re
from typing import Final

_COMMON: Final = "CommonJS is for packages, and for files that end in .cjs"
_PYPI: Final = (
    r"install it beside the worker, with `pip install --target python_modules` and its name on PyPI (for example \1); "
    "packages that have parts in C or Rust do not run"
)
_TABLE: Final = {
    r"ModuleNotFoundError: No module named '(?:js|pyodide)\b": (
        "this is no Pyodide: `from workers import ...` has Request, Response, fetch and the rest"
    ),
    r"ModuleNotFoundError: No module named '(\w+)": _PYPI,
    r"SyntaxError: 'await' outside": "nothing can be awaited at the top level: do it in a handler, an `async def`",
    r"SyntaxError: .*cannot contain null bytes": "save the file as UTF-8",
    r"ReferenceError: (?:module|exports) is not defined": f"write `export default {{ ... }}`; {_COMMON}",
    r"ReferenceError: require is not defined": f'write `import x from "..."`; {_COMMON}',
    r'TypeError: No such module "[@~]/': "write a relative path: `paths` of tsconfig.json is not read",
    r'TypeError: No such module "((?:@[\w.-]+/)?\w[\w.-]*)[^":]*", imported': (
        r"install it beside the worker (npm install \1), or write ./ before the name of a file of its own"
    ),
    r'TypeError: No such module "\.': "correct the path, or write the file",
    r"SyntaxError: Could not find export 'default'": "write `export default` there, or import { a name }",
    r"SyntaxError: Could not find export '": "write `export` before it there, or import another name",
    r"SyntaxError: unexpected 'await'": "write `async` before the function that it is in",
    r"SyntaxError: unexpected token in expression: '@'": "decorators have to be compiled before the deploy",
    r"Error: this can only be used while a request is handled": "move it into a handler, such as fetch()",
}


def remedy_of(error: str) -> str | None:
    """What to write instead, by what an error says: its type, a colon and its message. None where that is enough."""
    for pattern, remedy in _TABLE.items():
        found = re.match(pattern, error)
        if found is not None:
            return found.expand(remedy)
    return None
