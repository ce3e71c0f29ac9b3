"""From paths to files: the tables that Workers' documentation has, and that no redirect leads astray."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.services.assets.html import HANDLING, MAX_PATH, Found, Moved, Outcome, missing, resolve

SITE = {
    "/index.html",
    "/about.html",
    "/docs/index.html",
    "/both.html",
    "/both/index.html",
    "/logo.png",
    "/raw",
}

AUTO: dict[str, Outcome] = {
    "/": Found("/index.html"),
    "/index": Moved("/"),
    "/index.html": Moved("/"),
    "/about": Found("/about.html"),
    "/about.html": Moved("/about"),
    "/about/": Moved("/about"),
    "/about/index": Moved("/about"),
    "/about/index.html": Moved("/about"),
    "/docs": Moved("/docs/"),
    "/docs/": Found("/docs/index.html"),
    "/docs.html": Moved("/docs/"),
    "/docs/index": Moved("/docs/"),
    "/docs/index.html": Moved("/docs/"),
    "/both": Found("/both.html"),
    "/both.html": Moved("/both"),
    "/both/": Found("/both/index.html"),
    "/both/index.html": Moved("/both/"),
    "/logo.png": Found("/logo.png"),
    "/logo.png/": None,
    "/raw": Found("/raw"),
    "/nothing": None,
    "/nothing/": None,
    "/nothing.html": None,
}
FORCE: dict[str, Outcome] = {
    "/": Found("/index.html"),
    "/index.html": Moved("/"),
    "/about": Moved("/about/"),
    "/about/": Found("/about.html"),
    "/about.html": Moved("/about/"),
    "/about/index.html": Moved("/about/"),
    "/docs": Moved("/docs/"),
    "/docs/": Found("/docs/index.html"),
    "/docs/index": Moved("/docs/"),
    "/docs.html": Moved("/docs/"),
    "/both/": Found("/both/index.html"),
    "/both.html": Found("/both.html"),
    "/logo.png": Found("/logo.png"),
    "/nothing": None,
}
DROP: dict[str, Outcome] = {
    "/": Found("/index.html"),
    "/index": Moved("/"),
    "/index.html": Moved("/"),
    "/about": Found("/about.html"),
    "/about/": Moved("/about"),
    "/about.html": Moved("/about"),
    "/docs": Found("/docs/index.html"),
    "/docs/": Moved("/docs"),
    "/docs.html": Moved("/docs"),
    "/docs/index.html": Moved("/docs"),
    "/both": Found("/both.html"),
    "/both/index.html": Found("/both/index.html"),
    "/logo.png": Found("/logo.png"),
    "/nothing/": None,
}
NONE: dict[str, Outcome] = {
    "/": None,
    "/index.html": Found("/index.html"),
    "/about": None,
    "/about.html": Found("/about.html"),
    "/docs/": None,
}
CASES = [
    (handling, path, expected)
    for handling, table in (
        ("auto-trailing-slash", AUTO),
        ("force-trailing-slash", FORCE),
        ("drop-trailing-slash", DROP),
        ("none", NONE),
    )
    for path, expected in table.items()
]


@pytest.mark.parametrize(("handling", "path", "expected"), CASES)
def test_what_paths_mean(handling: str, path: str, expected: Outcome) -> None:
    assert resolve(path, handling, SITE.__contains__) == expected


NAMES = st.lists(st.sampled_from(["a", "b", "index", "a.html", "index.html", ""]), max_size=3).map(
    lambda names: "/" + "/".join(names)
)


@given(st.sampled_from(sorted(HANDLING)), NAMES, st.sets(NAMES, max_size=6))
def test_a_redirect_leads_to_a_file_at_once_and_never_elsewhere(
    handling: str, path: str, site: set[str]
) -> None:
    files = {file for file in site if not file.endswith("/")}
    outcome = resolve(path, handling, files.__contains__)
    if isinstance(outcome, Moved):
        assert outcome.path != path
        assert isinstance(resolve(outcome.path, handling, files.__contains__), Found)
    elif outcome is not None:
        assert outcome.file in files


def test_what_is_missing() -> None:
    site = {"/404.html", "/docs/404.html", "/index.html"}
    exists = site.__contains__
    assert missing("/x/y", "none", exists) is None
    assert missing("/x/y", "404-page", exists) == Found("/404.html", 404)
    assert missing("/docs/x/y", "404-page", exists) == Found("/docs/404.html", 404)
    assert missing("/docs", "404-page", exists) == Found("/404.html", 404)
    assert missing("/x", "single-page-application", exists) == Found("/index.html")
    assert missing("/x", "404-page", lambda _: False) is None
    assert missing("/x", "single-page-application", lambda _: False) is None


def test_a_path_of_thousands_of_folders_is_looked_up_in_as_many_as_a_file_can_have() -> None:
    asked: list[str] = []
    assert missing("/x" * 8000, "404-page", lambda file: bool(asked.append(file))) is None
    assert len(asked) == MAX_PATH // 2
    assert asked[-1] == "/404.html"
