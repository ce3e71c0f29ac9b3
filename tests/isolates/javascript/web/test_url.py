"""URL, as the web-platform-tests have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.isolates.javascript.web import wpt

if TYPE_CHECKING:
    from collections.abc import Callable

PARSE = """
const members = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash",
                 "origin", "searchParams"];
return cases.map((test) => {
  let url;
  try {
    url = new URL(test.input, test.base ?? undefined);
  } catch (error) {
    return test.failure ? null : `${error}`;
  }
  if (test.failure) return `parsed as ${url}`;
  const wrong = members.filter((name) => name in test && `${url[name]}` !== test[name]);
  return wrong.length === 0 ? null : wrong.map((name) => [name, `${url[name]}`]);
});
"""

SET = """
return cases.map(([name, test]) => {
  const url = new URL(test.href);
  url[name] = test.new_value;
  const wrong = Object.keys(test.expected).filter((other) => url[other] !== test.expected[other]);
  return wrong.length === 0 ? null : wrong.map((other) => [other, url[other]]);
});
"""


@pytest.mark.parametrize("file", ["urltestdata", "urltestdata-javascript-only"])
def test_parsing(run: Callable[..., Any], file: str) -> None:
    cases = wpt.cases(file)
    names = [f"{json.dumps(case['input'])} on {json.dumps(case.get('base'))}" for case in cases]
    wpt.check(file, dict(zip(names, run(PARSE, cases=cases), strict=True)))


def test_setters(run: Callable[..., Any]) -> None:
    file = "setters_tests"
    cases = [(name, case) for name, group in wpt.data(file).items() if name != "comment" for case in group]
    names = [f"{name} = {json.dumps(case['new_value'])} of {case['href']}" for name, case in cases]
    wpt.check(file, dict(zip(names, run(SET, cases=cases), strict=True)))


def test_domains_to_ascii(run: Callable[..., Any]) -> None:
    cases = wpt.cases("toascii")
    hosts = run(
        """return cases.map(({ input }) => {
          const url = URL.parse(`https://${input}/x`);
          return url === null ? null : [url.host, url.hostname, url.pathname, url.href];
        });""",
        cases=cases,
    )
    outcomes = {}
    for case, found in zip(cases, hosts, strict=True):
        host = case["output"]
        right = None if host is None else [host, host, "/x", f"https://{host}/x"]
        outcomes[json.dumps(case["input"])] = None if found == right else found
    wpt.check("toascii", outcomes)


def test_percent_encoding(run: Callable[..., Any]) -> None:
    cases = wpt.cases("percent-encoding")
    body = "return cases.map(({ input }) => new URL(`https://example/?${input}`).search.slice(1));"
    assert run(body, cases=cases) == [case["output"]["utf-8"] for case in cases]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("new URL('../x', 'http://a/b/c/d').href", "http://a/b/x"),
        ("JSON.stringify({ url: new URL('http://a') })", '{"url":"http://a/"}'),
        ("URL.canParse('x')", False),
        ("URL.canParse('x', 'http://a')", True),
        ("URL.parse('x')", None),
        ("new URL('blob:https://a.example/uuid').origin", "https://a.example"),
        (
            "(() => { const u = new URL('http://a/?q=1'); u.searchParams.append('é', '&'); return u.href; })()",
            "http://a/?q=1&%C3%A9=%26",
        ),
        (
            (
                "(() => { const u = new URL('http://a/?q=1'); const p = u.searchParams; u.search = '?z=2'; "
                "return [p === u.searchParams, `${p}`]; })()"
            ),
            [True, "z=2"],
        ),
        (
            "(() => { const u = new URL('http://a/?q=1#f'); u.searchParams.delete('q'); return u.href; })()",
            "http://a/#f",
        ),
        (
            (
                "(() => { const u = new URL('http://a/?q=1'); u.searchParams.get('q'); u.href = 'http://b/?q=3'; "
                "return u.searchParams.get('q'); })()"
            ),
            "3",
        ),
    ],
)
def test_what_it_gives(run: Callable[..., Any], expression: str, expected: object) -> None:
    assert run(f"return {expression};") == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("new URL('nonsense')", "TypeError: Invalid URL"),
        (
            "new URL()",
            "TypeError: Failed to execute URL constructor: 1 argument required, but only 0 present.",
        ),
        ("URL('http://a')", "TypeError: class constructors must be invoked with 'new'"),
        ("Reflect.get(URL.prototype, 'href', {})", "TypeError: private class field '#record' does not exist"),
    ],
)
def test_what_it_refuses(run: Callable[..., Any], expression: str, message: str) -> None:
    assert run(f"try {{ {expression}; }} catch (error) {{ return error; }}") == message


def test_hosts_that_are_long_end(run: Callable[..., Any]) -> None:
    """Punycode is quadratic: a name that is longer than any can be is refused."""
    assert run(
        "return ['ü'.repeat(1e6), `xn--${'a'.repeat(1e6)}ü`].map((host) => URL.canParse(`http://${host}`));"
    ) == [
        False,
        False,
    ]


@pytest.mark.parametrize("path", ["/a", "/../a", "/%2e", "/é", "/a.b-c"])
def test_urls_that_are_long_end(run: Callable[..., Any], path: str) -> None:
    assert run(
        "return new URL(`http://a${path.repeat(50_000)}?${path.repeat(50_000)}`).href.length > 50_000;",
        path=path,
    )


@pytest.mark.parametrize(
    ("domain", "meaning"),
    [
        ("ΒΌΛΟΣ.com", "βόλοσ.com"),  # no final sigma comes of a capital
        ("βόλος.com", "βόλος.com"),
        ("a\u03f2", "a\u03c3"),
        ("a\U0001d6d3", "a\u03c3"),
        ("ᾀ", "ἀι"),
        ("\u1c80", "в"),
        ("\uab70\u13a0\u13f8", "\u13a0\u13a0\u13f0"),
        ("a\u115f\uffa0b\u3164", "ab"),
    ],
)
def test_case_is_folded_as_uts_46_does(run: Callable[..., Any], domain: str, meaning: str) -> None:
    labels = [
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        for label in meaning.split(".")
    ]
    assert run("return new URL(`http://${domain}`).host;", domain=domain) == ".".join(labels)


@pytest.mark.parametrize(
    "point", [0x61C, 0x200E, 0x200F, 0x2065, 0x31EF, 0xE000, 0xFE12, 0xFFF0, 0xFFFC, 0xE0000, 0xE01F0]
)
def test_code_points_that_uts_46_forbids_are_refused(run: Callable[..., Any], point: int) -> None:
    assert run("return URL.canParse(`http://a${c}b`);", c=chr(point)) is False
