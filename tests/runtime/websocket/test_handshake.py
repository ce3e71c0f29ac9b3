"""The opening handshake, read strictly on both sides."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import BadEffect, BadRequest, UpgradeRequired, UpstreamError
from pyworkerd.websocket.handshake import (
    Opening,
    accept_of,
    accepted,
    read_answer,
    read_opening,
    request_fields,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3, with its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
PLAIN = (("sec-websocket-version", "13"), ("sec-websocket-key", KEY))
ANSWER = (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"), ("sec-websocket-accept", ACCEPT))


def test_the_example_of_the_rfc() -> None:
    assert accept_of(KEY) == ACCEPT
    assert read_opening(PLAIN) == Opening(ACCEPT, (), None)


def test_protocols_and_extensions() -> None:
    opening = read_opening(
        (*PLAIN, ("sec-websocket-protocol", "chat, \tsuperchat"), ("sec-websocket-protocol", "v2.x"),
         ("sec-websocket-extensions", "x-other, permessage-deflate"))
    )  # fmt: skip
    assert opening.protocols == ("chat", "superchat", "v2.x")
    assert opening.terms is not None
    agreement, own, fields = accepted(opening, (("sec-websocket-protocol", "v2.x"), ("set-cookie", "a=b")))
    assert agreement == ("v2.x", opening.terms)
    assert own == (
        ("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", ACCEPT),
        ("sec-websocket-extensions", opening.terms.answer),
    )  # fmt: skip
    assert fields == (("sec-websocket-protocol", "v2.x"), ("set-cookie", "a=b"))
    assert accepted(opening, (), compress=False)[0] == ("", None)


@pytest.mark.parametrize(
    "key",
    ["", "a", KEY[:-1], KEY + "=", f" {KEY}", KEY.replace("=", "A"), "dGhlIHNhbXBsZSBub25jZR==", "-" * 22 + "==",
     "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25j"],
)  # fmt: skip
def test_a_key_is_sixteen_bytes_in_base64(key: str) -> None:
    with pytest.raises(BadRequest, match="Sec-WebSocket-Key"):
        read_opening((("sec-websocket-version", "13"), ("sec-websocket-key", key)))


def test_a_key_comes_once() -> None:
    for keys in ((), (PLAIN[1], PLAIN[1])):
        with pytest.raises(BadRequest, match="Sec-WebSocket-Key"):
            read_opening((PLAIN[0], *keys))


@pytest.mark.parametrize("versions", [("8",), ("13", "13"), ("13, 8",), ("013",), ("",)])
def test_another_version_is_told_ours(versions: tuple[str, ...]) -> None:
    with pytest.raises(UpgradeRequired) as caught:
        read_opening((PLAIN[1], *(("sec-websocket-version", version) for version in versions)))
    assert caught.value.headers == (("sec-websocket-version", "13"),)
    with pytest.raises(BadRequest, match="missing"):
        read_opening(PLAIN[1:])


@pytest.mark.parametrize("value", ["", "a b", "a,", ",a", "a,,b", "ä", 'a"', "a, a"])
def test_malformed_protocols(value: str) -> None:
    with pytest.raises(BadRequest, match="Sec-WebSocket-Protocol"):
        read_opening((*PLAIN, ("sec-websocket-protocol", value)))


def test_malformed_extensions() -> None:
    with pytest.raises(BadRequest, match="Sec-WebSocket-Extensions is malformed"):
        read_opening((*PLAIN, ("sec-websocket-extensions", "permessage-deflate;")))


@pytest.mark.parametrize("chosen", [("other",), ("chat", "chat"), ("chat, superchat",), ("Chat",), ("",)])
def test_a_worker_chooses_among_what_was_offered(chosen: tuple[str, ...]) -> None:
    opening = Opening(ACCEPT, ("chat", "superchat"), None)
    with pytest.raises(BadEffect, match="did not offer"):
        accepted(opening, tuple(("sec-websocket-protocol", name) for name in chosen))


def test_a_worker_cannot_answer_the_handshake_itself() -> None:
    own = (
        ("sec-websocket-accept", "x"),
        ("sec-websocket-extensions", "y"),
        ("sec-websocket-key", "z"),
        ("x-a", "b"),
    )
    assert accepted(Opening(ACCEPT, (), None), own)[2] == (("x-a", "b"),)


@given(
    st.lists(st.tuples(st.sampled_from([name for name, _ in PLAIN] + ["sec-websocket-protocol"]), st.text()))
)
def test_any_headers_are_an_opening_or_refused(headers: list[tuple[str, str]]) -> None:
    with suppress(BadRequest, UpgradeRequired):
        read_opening(tuple(headers))


# the client's side ---------------------------------------------------------------------------------------------------


def test_a_request_keeps_nothing_of_the_guest_that_is_the_handshakes() -> None:
    guest = (("upgrade", "websocket"), ("connection", "x"), ("sec-websocket-key", "forged"),
             ("sec-websocket-extensions", "x-own"), ("sec-websocket-protocol", "a, b"), ("cookie", "c"))  # fmt: skip
    fields = request_fields(KEY, guest)
    assert [value for name, value in fields if name == "sec-websocket-key"] == [KEY]
    assert fields[-2:] == guest[-2:]
    assert len([name for name, _ in fields if name == "connection"]) == 1
    assert read_opening(fields).protocols == ("a", "b")


def test_an_answer_that_fits() -> None:
    sent = (("sec-websocket-protocol", "a, b"),)
    assert read_answer(KEY, sent, ANSWER) == ("", None)
    assert read_answer(KEY, sent, (*ANSWER, ("sec-websocket-protocol", "b")))[0] == "b"
    extensions = ("sec-websocket-extensions", "permessage-deflate; server_no_context_takeover")
    agreement = read_answer(KEY, (), (*ANSWER, extensions))
    assert agreement.terms is not None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((("upgrade", "h2c"), *ANSWER[1:]), "something else"),
        ((("connection", "close"), ANSWER[0], ANSWER[2]), "something else"),
        (ANSWER[1:], "something else"),
        ((*ANSWER[:2], ("sec-websocket-accept", KEY)), "not an answer"),
        (ANSWER[:2], "not an answer"),
        ((*ANSWER, ANSWER[2]), "not an answer"),
        ((*ANSWER, ("sec-websocket-protocol", "b")), "not offered"),
        ((*ANSWER, ("sec-websocket-protocol", "a"), ("sec-websocket-protocol", "a")), "not offered"),
        ((*ANSWER, ("sec-websocket-extensions", "x-other")), "cannot be used"),
    ],
)  # fmt: skip
def test_answers_that_do_not(answer: tuple[tuple[str, str], ...], says: str) -> None:
    with pytest.raises(UpstreamError, match=says):
        read_answer(KEY, (("sec-websocket-protocol", "a"),), answer)
