"""Which file a path means. Pure: whether a file exists is asked of a function.

Names and behaviour are those of Workers' static assets: `about.html` and `about/index.html` have one path each, and the
others lead there. A redirect is given only if the path that it leads to means the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

Exists = Callable[[str], bool]


class Found(NamedTuple):
    """A file, by its path from the folder's root, which begins with a slash."""

    file: str
    status: int = 200


class Moved(NamedTuple):
    """The path that it should have been."""

    path: str


Outcome = Found | Moved | None

MAX_PATH: Final = 4096
"""Characters of a path that has folders: no file has more above it (PATH_MAX), and a client may write thousands."""
INDEX: Final = "/index.html"


def resolve(path: str, handling: str, exists: Exists) -> Outcome:
    """What a path (decoded) means by one of the rows of HANDLING; None if there is nothing."""
    return HANDLING[handling](path, exists)


def missing(path: str, handling: str, exists: Exists) -> Found | None:
    """What is answered where a path means nothing: by `not_found_handling`."""
    if handling == "single-page-application":
        return Found(INDEX) if exists(INDEX) else None
    if handling != "404-page":
        return None
    folder = path[:MAX_PATH]
    while folder:
        folder = folder.rpartition("/")[0]
        if exists(f"{folder}/404.html"):
            return Found(f"{folder}/404.html", 404)
    return None


def _exact(path: str, exists: Exists) -> Outcome:
    return Found(path) if exists(path) else None


def _first(*outcomes: Outcome) -> Outcome:
    return next((outcome for outcome in outcomes if outcome is not None), None)


def _auto(path: str, exists: Exists) -> Outcome:
    if path.endswith("/"):
        return _first(_exact(f"{path}index.html", exists), _to(_plain(path, exists), path, exists, _auto_at))
    return _first(
        _to_canonical(path, exists, _auto_at) if path.endswith((".html", "/index")) else None,
        _exact(path, exists),
        _exact(f"{path}.html", exists),
        _to(_folder(path, exists), path, exists, _auto_at),
    )


def _force(path: str, exists: Exists) -> Outcome:
    if path.endswith("/"):
        return _first(_exact(f"{path}index.html", exists), _exact(f"{path[:-1]}.html", exists))
    if path.endswith((".html", "/index")):
        return _first(_to_canonical(path, exists, _force_at), _exact(path, exists))
    return _first(
        _exact(path, exists),
        _to(_plain(f"{path}/", exists), path, exists, _force_at),
        _to(_folder(path, exists), path, exists, _force_at),
    )


def _drop(path: str, exists: Exists) -> Outcome:
    if path == "/":
        return _exact(INDEX, exists)
    if path.endswith("/"):
        return _first(
            _to(_plain(path, exists), path, exists, _drop_at),
            _to(_folder(path[:-1], exists), path, exists, _drop_at),
        )
    return _first(
        _to_canonical(path, exists, _drop_at) if path.endswith((".html", "/index")) else None,
        _exact(path, exists),
        _exact(f"{path}.html", exists),
        _exact(f"{path}{INDEX}", exists),
    )


HANDLING: Final[dict[str, Callable[[str, Exists], Outcome]]] = {
    "auto-trailing-slash": _auto,
    "force-trailing-slash": _force,
    "drop-trailing-slash": _drop,
    "none": _exact,
}


def _plain(path: str, exists: Exists) -> str | None:
    """`/about.html` for `/about/`."""
    file = f"{path[:-1]}.html"
    return file if len(path) > 1 and exists(file) else None


def _folder(path: str, exists: Exists) -> str | None:
    """`/about/index.html` for `/about`."""
    file = f"{path}{INDEX}"
    return file if exists(file) else None


def _auto_at(file: str) -> str:
    """The path of an HTML file."""
    return file[: -len("index.html")] if file.endswith(INDEX) else file[: -len(".html")]


def _force_at(file: str) -> str:
    return file[: -len("index.html")] if file.endswith(INDEX) else f"{file[: -len('.html')]}/"


def _drop_at(file: str) -> str:
    return (file[: -len(INDEX)] or "/") if file.endswith(INDEX) else file[: -len(".html")]


_ROWS: Final = {
    _auto_at: "auto-trailing-slash",
    _force_at: "force-trailing-slash",
    _drop_at: "drop-trailing-slash",
}


def _to(file: str | None, path: str, exists: Exists, at: Callable[[str], str]) -> Outcome:
    """To the path of a file, if that path means the file."""
    if file is None:
        return None
    better = at(file)
    if better == path or _served(better, at, exists) != file:
        return None
    return Moved(better)


def _served(path: str, at: Callable[[str], str], exists: Exists) -> str | None:
    """The file that a path serves without a redirect."""
    if at is _auto_at or path == "/":
        candidates = [f"{path}index.html"] if path.endswith("/") else [path, f"{path}.html"]
    elif at is _force_at:
        candidates = [f"{path}index.html", f"{path[:-1]}.html"]
    else:
        candidates = [path, f"{path}.html", f"{path}{INDEX}"]
    return next((file for file in candidates if exists(file)), None)


def _to_canonical(path: str, exists: Exists, at: Callable[[str], str]) -> Outcome:
    """`/about`, `/about/` or whatever it is for `/about.html`, `/about/index.html` and `/about/index`."""
    if path.endswith("/index") and exists(path):
        return Found(path)
    stem = path.removesuffix(".html")
    files = [f"{stem}.html"]
    if stem.endswith("/index"):
        files.append(f"{stem[: -len('/index')]}.html")
    else:
        files.append(f"{stem}{INDEX}")
    for file in files:
        if file != ".html" and exists(file):
            outcome = _to(file, path, exists, at)
            if outcome is not None or file == path:
                return outcome or Found(path)
    return None
