"""`_headers` and `_redirects`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.services.assets.rules import (
    MAX_ADDED,
    MAX_DYNAMIC,
    MAX_FILLED,
    MAX_HEADER_RULES,
    MAX_PATH,
    MAX_STATIC,
    changed,
    glob,
    parse_headers,
    parse_redirects,
    pattern,
)

REDIRECTS = """
# a comment
/old /new
/gone /new 301   
/blog/* /news/:splat 308
/user/:id/:tab /u/:tab/:id?x=1
/out https://example.com/there#part
/out/* https://example.com/:splat 303
/app/* /app.html 200
"""  # noqa: W291


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/old", "", (302, "/new")),
        ("/old", "a=b", (302, "/new?a=b")),
        ("/gone", "", (301, "/new")),
        ("/blog/2026/x", "", (308, "/news/2026/x")),
        ("/blog/", "", (308, "/news/")),
        ("/user/7/posts", "a=b", (302, "/u/posts/7?x=1")),
        ("/user/7/a/b", "", None),
        ("/out", "q", (302, "https://example.com/there?q#part")),
        ("/out/a", "", (303, "https://example.com/a")),
        ("/app/x", "", (200, "/app.html")),
        ("/nothing", "", None),
    ],
)
def test_redirects(path: str, query: str, expected: tuple[int, str] | None) -> None:
    rules, wrong = parse_redirects(REDIRECTS)
    assert wrong == []
    assert rules.find("host", path, query) == expected


@pytest.mark.parametrize("path", ["/x//evil.example/", "/x/\\evil.example", "/x//\\/evil.example"])
def test_a_placeholder_makes_no_other_host(path: str) -> None:
    rules, _ = parse_redirects("/x/* /:splat")
    found = rules.find("host", path, "")
    assert found is not None
    assert found[1].startswith("/evil")


@pytest.mark.parametrize(
    "line",
    [
        "/only",
        "old /new",
        "/a /b 301 x",
        "/a /b 418",
        "/a /b 3o1",
        "/a //evil.example",
        "/a javascript:alert(1)",
        "/a b",
        "/a/*/* /b",
        "/:x/:x /b",
        "/a https://example.com/ 200",
        "/a /b\x7f",
    ],
)
def test_redirects_that_are_not_understood_are_told(line: str) -> None:
    rules, wrong = parse_redirects(f"/fine /there\n{line}")
    assert len(wrong) == 1
    assert wrong[0].startswith("line 2:")
    assert list(rules.exact) == ["/fine"]


def test_there_may_be_so_many() -> None:
    text = "".join(f"/{n} /x\n" for n in range(MAX_STATIC + 1)) + "/*/ /x\n" * (MAX_DYNAMIC + 1)
    rules, wrong = parse_redirects(text)
    assert (len(rules.exact), len(rules.patterns), len(wrong)) == (MAX_STATIC, MAX_DYNAMIC, 2)
    _, wrong = parse_headers("/x\n a: b\n" * (MAX_HEADER_RULES + 1))
    assert len(wrong) == 1


HEADERS = """
/*
  X-All: yes
  Cache-Control: no-store
/static/*
  ! Cache-Control
  X-Path: :splat
  Link: <a>
/static/:name
  link: <b>; x=:name
https://a.example/*
  x-host: a
"""


def test_headers() -> None:
    rules, wrong = parse_headers(HEADERS)
    assert wrong == []
    start = (("etag", '"e"'), ("cache-control", "public"))
    assert dict(changed(start, rules, "b.example", "/x")) == {
        "etag": '"e"',
        "x-all": "yes",
        "cache-control": "no-store",
    }
    assert dict(changed(start, rules, "a.example", "/static/js")) == {
        "etag": '"e"',
        "x-all": "yes",
        "x-path": "js",
        "link": "<a>, <b>; x=js",
        "x-host": "a",
    }


@pytest.mark.parametrize("line", ["no colon", "bad name: x", "empty:", "x: a\x01", "! bad name"])
def test_headers_that_are_not_understood_are_told(line: str) -> None:
    rules, wrong = parse_headers(f"/x\n fine: yes\n {line}")
    assert (len(wrong), dict(changed((), rules, "h", "/x"))) == (1, {"fine": "yes"})


def test_a_path_cannot_put_lines_into_a_header() -> None:
    rules, _ = parse_headers("/*\n x: :splat")
    assert dict(changed((), rules, "h", "/a\r\nset-cookie: x")) == {"x": "a"}


@given(st.text(max_size=200))
def test_whatever_the_files_say_nothing_raises(text: str) -> None:
    rules, _ = parse_headers(text)
    changed((), rules, "h", "/x")
    parse_redirects(text)[0].find("h", "/x", "")
    pattern(text)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("/api/*", "/api/", True),
        ("/api/*", "/api/a/b", True),
        ("/api/*", "/api", False),
        ("/api", "/api", True),
        ("/api", "/apis", False),
        ("*", "/", True),
        ("/a*b*c", "/a--b--c", True),
        ("/a*b*c", "/a--c--b", False),
        ("/a*a", "/a", False),
        ("*.js", "/x\n.js", True),
        ("/*/*/", "/a/b", False),
        ("/*/*/", "/a/b/", True),
    ],
)
def test_globs(text: str, path: str, *, expected: bool) -> None:
    assert glob(text)(path) is expected


@given(st.lists(st.sampled_from("ab*"), max_size=6), st.lists(st.sampled_from("ab\n"), max_size=8))
def test_globs_are_what_expressions_say(parts: list[str], path: list[str]) -> None:
    expression = ".*".join(map(re.escape, "".join(parts).split("*")))
    assert glob("".join(parts))("".join(path)) == bool(re.fullmatch(expression, "".join(path), re.DOTALL))


@pytest.mark.parametrize("path", ["/:a-:b", "/:a*", "/*:a", "/x/:a:b/y"])
def test_one_placeholder_in_a_part_is_all_that_can_be_told_apart(path: str) -> None:
    assert pattern(path) is None
    assert parse_redirects(f"{path} /x")[1] != []


def test_what_clients_and_deployers_write_is_bounded() -> None:
    star = pattern("/*")
    assert star is not None
    assert star.match("h", "/" + "x" * (MAX_PATH - 1)) is not None
    assert star.match("h", "/" + "x" * MAX_PATH) is None
    many = ":splat" * (MAX_FILLED + 1)
    assert parse_redirects(f"/* /{many}")[1] == ["line 1: write for example /from /to 301"]
    assert parse_headers(f"/*\n  x: {many}")[1] != []
    lines = "".join(f"  x-{number}: {':splat' * MAX_FILLED}\n" for number in range(100))
    rules, wrong = parse_headers(f"/*\n{lines}")
    assert wrong == []
    added = changed((), rules, "h", "/" + "x" * 1000)
    assert [name for name, _ in added] == ["x-0", "x-1", "x-2"]
    assert sum(len(name) + len(value) for name, value in added) <= MAX_ADDED
