from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.services.destination import MAX_URL, Destination


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com/A", "http://example.com/A"),
        (" https://example.com/ ", "https://example.com/"),
        ("https://example.com:443/", "https://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com:/", "http://example.com/"),
        ("http://example.com:080/", "http://example.com/"),
        ("http://example.com./", "http://example.com./"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com/?a=b#c", "http://example.com/?a=b"),
        ("http://example.com#c?d", "http://example.com/"),
        ("http:\\\\example.com\\a?\\b", "http://example.com/a?%5Cb"),
        ("http://example.com/a b/ä?ö=<>", "http://example.com/a%20b/%C3%A4?%C3%B6=%3C%3E"),
        ("http://example.com/%2e%2E/..;/{}|", "http://example.com/%2e%2E/..;/{}|"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://with_underscore.example/", "http://with_underscore.example/"),
        ("http://[2001:DB8:0:0:0:0:0:1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
        # WHATWG URL, "IPv4 parser".
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://0x7f.0.0.1/", "http://127.0.0.1/"),
        ("http://0X7F000001/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://127.0.1/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://0/", "http://0.0.0.0/"),
        ("http://0x/", "http://0.0.0.0/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),  # noqa: RUF001
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://1e3.example/", "http://1e3.example/"),
    ],
)
def test_urls_are_understood_as_browsers_do(text: str, understood: str) -> None:
    destination = Destination.parse(text)
    # An IPv6 address may be spelled in two ways; what counts is which address it is.
    assert destination.url.replace("::ffff:127.0.0.1", "::ffff:7f00:1") == understood
    assert Destination.parse(destination.url) == destination


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "absolute"),
        ("/path", "absolute"),
        ("//host/path", "absolute"),
        ("example.com", "absolute"),
        ("http:example.com", "absolute"),
        ("ftp://example.com/", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("unix:///socket", "absolute"),
        ("http://", "host"),
        ("http:///path", "host"),
        ("http://:80/", "host"),
        ("http://user@example.com/", "user name"),
        ("http://user:pass@example.com/", "user name"),
        ("http://@example.com/", "user name"),
        ("http://good.example\\@evil.example/", ""),
        ("http://example.com:0/", "port"),
        ("http://example.com:65536/", "port"),
        ("http://example.com:99999999999999999999/", "port"),
        ("http://example.com:٨/", "port"),
        ("http://example.com:80:80/", "port"),
        ("http://example.com:-1/", "port"),
        ("http://exa mple.com/", "host"),
        ("http://127%2e0.0.1/", "host"),
        ("http://a..b/", "host"),
        ("http://-" + "a" * 64 + ".example/", "host"),
        ("http://" + "a." * 130 + "example/", "host"),
        ("http://[::1/", "host"),
        ("http://[::1]x/", "host"),
        ("http://[fe80::1%25eth0]/", "IPv6"),
        ("http://[127.0.0.1]/", "IPv6"),
        ("http://256.0.0.1/", "IPv4"),
        ("http://1.2.3.4.5/", "IPv4"),
        ("http://1.2.3.08/", "IPv4"),
        ("http://foo.0x4/", "IPv4"),
        ("http://4294967296/", "IPv4"),
        ("http://1.2.65536/", "IPv4"),
        ("http://" + "9" * 5000 + "/", "host"),
        ("http://example.com/\r\nX: y", "control"),
        ("http://example.com\t/", "control"),
        ("http://example.com/\0", "control"),
        ("http://example.com/" + "a" * MAX_URL, "longer"),
    ],
)
def test_what_is_refused_says_why(text: str, reason: str) -> None:
    if not reason:  # the backslash ends the host, as in a browser: not evil.example, and no userinfo
        assert Destination.parse(text).host == "good.example"
        return
    with pytest.raises(ValueError, match=reason):
        Destination.parse(text)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/x", "https://a.example:8443/x"),
        ("x", "https://a.example:8443/dir/x"),
        ("?q", "https://a.example:8443/dir/page?q"),
        ("", "https://a.example:8443/dir/page?old"),
        ("#frag", "https://a.example:8443/dir/page?old"),
        ("../x", "https://a.example:8443/x"),
        ("//b.example/x", "https://b.example/x"),
        ("\\\\b.example\\x", "https://b.example/x"),
        ("/\\b.example/x", "https://b.example/x"),
        ("http://c.example/x", "http://c.example/x"),
        (" http://c.example/x ", "http://c.example/x"),
        ("/caf\xc3\xa9", "https://a.example:8443/caf%C3%A9"),
        ("/caf\xe9", "https://a.example:8443/caf%E9"),
        ("/a b", "https://a.example:8443/a%20b"),
    ],
)
def test_references_are_resolved(reference: str, expected: str) -> None:
    assert Destination.parse("https://a.example:8443/dir/page?old").join(reference).url == expected


@pytest.mark.parametrize(
    "reference",
    ["javascript:alert(1)", "ftp://b/", "http://u:p@b/", "//b:0/", "//\xe9/", "http:///", "//[::1"],
)
def test_references_that_lead_nowhere(reference: str) -> None:
    with pytest.raises(ValueError):
        Destination.parse("https://a.example/").join(reference)


@given(st.one_of(st.text(), st.text().map("http://".__add__), st.text().map("http://a/".__add__)))
def test_any_text_is_a_clean_destination_or_a_value_error(text: str) -> None:
    try:
        destination = Destination.parse(text)
    except ValueError:
        return
    assert destination.url.isascii()
    assert destination.url.isprintable()
    assert " " not in destination.url
    assert destination.target.startswith("/")


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_every_spelling_of_an_ipv4_address_is_that_address(value: int, spelling: str) -> None:
    address = Destination.parse(f"http://{spelling.format(value)}/").address
    assert address is not None
    assert int(address) == value


@given(st.text(st.characters(max_codepoint=255)))
def test_any_location_is_resolved_or_a_value_error(reference: str) -> None:
    base = Destination.parse("https://a.example/x")
    try:
        assert base.join(reference).url.isprintable()
    except ValueError:
        return
