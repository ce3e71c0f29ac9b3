from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.routing import Route, Table

CASES = [
    # pattern, host, path, does it match
    ("/api/*", "any.example", "/api/", True),
    ("/api/*", "any.example", "/api/x/y", True),
    ("/api/*", "any.example", "/api", False),
    ("/api*", "any.example", "/apis", True),
    ("/api", "any.example", "/api", True),
    ("/api", "any.example", "/api/", False),
    ("/*", "", "/", True),
    ("*/*", "", "/x", True),
    ("shop.example.com/*", "shop.example.com", "/x", True),
    ("shop.example.com/*", "SHOP.Example.COM", "/x", True),
    ("Shop.Example.com./*", "shop.example.com", "/x", True),
    ("shop.example.com/*", "shop.example.com.", "/x", True),
    ("shop.example.com/*", "shop.example.com:8787", "/x", True),
    ("shop.example.com:443/*", "shop.example.com:8787", "/x", True),
    ("https://shop.example.com/*", "shop.example.com", "/x", True),
    ("*://shop.example.com/*", "shop.example.com", "/x", True),
    ("shop.example.com/*", "a.shop.example.com", "/x", False),
    ("*.example.com/*", "a.example.com", "/", True),
    ("*.example.com/*", "a.b.example.com", "/", True),
    ("*.example.com/*", "example.com", "/", False),
    ("*.example.com/*", "badexample.com", "/", False),
    ("*example.com/*", "example.com", "/", True),
    ("*example.com/*", "badexample.com", "/", True),
    ("[::1]:8787/*", "[::1]:9", "/", True),
    ("[::1]/*", "::1", "/", False),
    ("bücher.example/*", "bücher.example", "/", True),
    ("bücher.example/*", "xn--bcher-kva.example", "/", False),
    ("/a", "h", "/a?b", True),
    ("/a/*", "h", "/%61/x", False),
    ("/a/*", "h", "/b/../a/x", False),
    ("/%61/*", "h", "/%61/x", True),
]


@pytest.mark.parametrize(("pattern", "host", "path", "expected"), CASES)
def test_a_pattern_matches_what_it_says(pattern: str, host: str, path: str, expected: bool) -> None:
    assert Route.parse(pattern).matches(host, path) is expected
    assert Table([(pattern, "service")]).match(host, path) == ("service" if expected else None)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "write"),
        ("api", "write"),
        ("*", "write"),
        ("shop.example.com", "write"),
        ("ftp://shop.example.com/*", "scheme"),
        ("://shop.example.com/*", "scheme"),
        ("https:///x", "no host"),
        (":80/x", "no host"),
        ("shop.example.com:/x", "port"),
        ("shop.example.com:0/x", "port"),
        ("shop.example.com:65536/x", "port"),
        ("shop.example.com:٣/x", "port"),
        ("shop.*.com/x", "host"),
        ("**.com/x", "host"),
        ("*./x", "host"),
        ("a..b/x", "host"),
        (".b/x", "host"),
        ("user@host/x", "host"),
        ("a b/x", "host"),
        ("[nonsense]/x", "host"),
        ("/a*b", "path"),
        ("/a/**", "path"),
        ("/a?b", "path"),
        ("/a#b", "path"),
        ("/a b", "path"),
        ("/a\n", "path"),
    ],
)
def test_malformed_patterns_say_why(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Route.parse(pattern)


def test_the_most_specific_route_wins() -> None:
    table = Table(
        [
            ("/*", "rest"),
            ("/long/path/here", "any host"),
            ("*.example.com/*", "below"),
            ("*.shop.example.com/*", "further below"),
            ("a.shop.example.com/api/*", "api"),
            ("a.shop.example.com/api/v2*", "v2"),
            ("a.shop.example.com/api/v2", "exactly v2"),
        ]
    )
    assert table.match("other.example", "/x") == "rest"
    assert table.match("other.example", "/long/path/here") == "any host"
    assert table.match("b.example.com", "/long/path/here") == "below"
    assert table.match("b.shop.example.com", "/") == "further below"
    assert table.match("a.shop.example.com", "/api/x") == "api"
    assert table.match("a.shop.example.com", "/api/v2/x") == "v2"
    assert table.match("a.shop.example.com", "/api/v2") == "exactly v2"
    # No path of the exact host fits: the next less specific host is asked.
    assert table.match("a.shop.example.com", "/x") == "further below"


@pytest.mark.parametrize("twin", ["a.example/x*", "A.Example./x*", "http://a.example:80/x*"])
def test_one_pattern_of_two_services_names_both(twin: str) -> None:
    with pytest.raises(ValueError, match=r"'shop' and 'blog'"):
        Table([("a.example/x*", "shop"), (twin, "blog")])


def test_one_service_may_repeat_a_pattern() -> None:
    assert Table([("/x", "shop"), ("/x", "shop")]).match("", "/x") == "shop"


def test_an_empty_table_matches_nothing() -> None:
    assert Table([]).match("a.example", "/") is None


# Few letters, so that patterns and requests meet often.
names = st.lists(st.sampled_from(["a", "b", "aa"]), min_size=1, max_size=3).map(".".join)
hosts = st.one_of(names, names.map("*.".__add__), names.map("*".__add__), st.sampled_from(["", "*"]))
paths = st.text("ab/", max_size=4).map("/".__add__)
patterns = st.builds("{}{}{}".format, hosts, paths, st.sampled_from(["", "*"]))


def naive(routes: dict[Route, str], host: str, path: str) -> str | None:
    """Try all, then take the best by the rule as it is written in the documentation."""
    fitting = [route for route in routes if route.matches(host, path)]
    if not fitting:
        return None
    return routes[max(fitting, key=lambda r: (not r.any_host, len(r.host), len(r.path), not r.any_path))]


@given(st.lists(patterns, max_size=12), names, paths)
def test_the_table_agrees_with_trying_every_route(written: list[str], host: str, path: str) -> None:
    routes: dict[Route, str] = {}
    for pattern in written:
        routes.setdefault(Route.parse(pattern), pattern)
    table = Table((route.pattern, service) for route, service in routes.items())
    assert table.match(host, path) == naive(routes, host, path)


@given(st.text(max_size=12))
def test_any_text_is_a_route_or_a_value_error(text: str) -> None:
    try:
        route = Route.parse(text)
    except ValueError:
        return
    assert "*" not in route.host + route.path
    assert route.path.startswith("/")


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_request_is_answered(host: str, path: str) -> None:
    table = Table([("*.a/*", "one"), ("b/x", "two"), ("/y*", "three")])
    assert table.match(host, path) in {"one", "two", "three", None}
