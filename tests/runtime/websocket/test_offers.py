"""Which offers of permessage-deflate are taken, and on what terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.websocket.offers import MAX_OFFERS, Terms, agree, agreed, offer, read

BOTH = "server_no_context_takeover; client_no_context_takeover"
TAKEN = f"permessage-deflate; {BOTH}; server_max_window_bits="


@pytest.mark.parametrize(
    ("offered", "terms"),
    [
        ("permessage-deflate", Terms(12, 15, TAKEN + "12")),
        (
            "permessage-deflate; client_max_window_bits",
            Terms(12, 12, TAKEN + "12; client_max_window_bits=12"),
        ),
        (
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
            Terms(9, 10, TAKEN + "9; client_max_window_bits=10"),
        ),
        (
            'permessage-deflate;client_max_window_bits="15"',
            Terms(12, 12, TAKEN + "12; client_max_window_bits=12"),
        ),
        # zlib can read what was written with a window of 2^8, and cannot write so.
        (
            "permessage-deflate; client_max_window_bits=8",
            Terms(12, 9, TAKEN + "12; client_max_window_bits=8"),
        ),
        (f"permessage-deflate; {BOTH}", Terms(12, 15, TAKEN + "12")),
        ("x-other; a=1, permessage-deflate", Terms(12, 15, TAKEN + "12")),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Terms(12, 15, TAKEN + "12")),
        ("permessage-deflate; unknown, permessage-deflate; unknown=1", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=08", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-bzip2", None),
    ],
)
def test_offers(offered: str, terms: Terms | None) -> None:
    assert agree([offered]) == terms


def test_nothing_offered() -> None:
    assert agree([]) is None
    assert agreed([]) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "a,",
        "a,,b",
        ";a",
        "a;",
        "a; b=",
        "a; b c",
        'a; b="c d"',
        'a; b="',
        "a; b; b",
        "a b",
        "ä",
        "a\x00",
    ],
)
def test_malformed(value: str) -> None:
    with pytest.raises(ValueError, match=r"list of extensions|repeated"):
        read([value])


def test_more_extensions_than_anybody_sends() -> None:
    assert len(read(["a, " * (MAX_OFFERS - 1) + "a"])) == MAX_OFFERS
    with pytest.raises(ValueError, match="more than 16"):
        read(["a"] * (MAX_OFFERS + 1))


@given(st.text(alphabet='ab;=," \t', max_size=40))
def test_any_text_is_read_or_refused(value: str) -> None:
    try:
        found = read([value])
    except ValueError:
        return
    assert found
    written = ", ".join(
        "; ".join([name, *(k if v is None else f"{k}={v}" for k, v in p.items())]) for name, p in found
    )
    assert read([written]) == found


def test_a_long_value_takes_no_long_time() -> None:
    for value in (
        "a" + " " * 100_000 + "!",
        "a; " * 40_000 + "!",
        "a;b" + "=" * 100_000,
        'a;b="' + "c" * 100_000,
    ):
        with pytest.raises(ValueError, match=r"list of extensions|repeated"):
            read([value])


@pytest.mark.parametrize(
    ("answer", "terms"),
    [
        (f"permessage-deflate; {BOTH}", Terms(12, 15, "")),
        ("permessage-deflate; server_no_context_takeover", Terms(12, 15, "")),
        (
            f"permessage-deflate; {BOTH}; server_max_window_bits=10; client_max_window_bits=9",
            Terms(9, 10, ""),
        ),
    ],
)
def test_answers_that_fit_what_was_offered(answer: str, terms: Terms) -> None:
    assert agreed([answer]) == terms


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate",
        "x-other",
        f"permessage-deflate; {BOTH}, permessage-deflate; {BOTH}",
        f"permessage-deflate; {BOTH}; unknown",
        f"permessage-deflate; {BOTH}; client_max_window_bits",
        f"permessage-deflate; {BOTH}; client_max_window_bits=13",
        f"permessage-deflate; {BOTH}; client_max_window_bits=8",
        f"permessage-deflate; {BOTH}; server_max_window_bits=99",
        "permessage-deflate;",
    ],
)
def test_answers_that_do_not(answer: str) -> None:
    with pytest.raises(ValueError):
        agreed([answer])


def test_our_own_offer_is_taken_by_our_own_server() -> None:
    terms = agree([offer()])
    assert terms is not None
    assert agreed([terms.answer]) == Terms(terms.receive_bits, terms.send_bits, "")
