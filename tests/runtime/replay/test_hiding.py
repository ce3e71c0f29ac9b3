"""What stands in place of a secret, and where secrets are found."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.replay.hiding import MOST, Hidden, Hiding, placeholder
from pyworkerd_isolates import wire
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.replay.telling import event_fields, read_events

SECRET = 'sk-live-"Ab12/+ü€𝄞'
ID = "00000000-4bf9-2f35-77b3-4da6a3ce929d"


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_placeholder_is_as_long_in_every_encoding(value: str) -> None:
    instead = placeholder(value)
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        assert len(instead.encode(encoding)) == len(value.encode(encoding))
    assert len(json.dumps(instead)) == len(json.dumps(value))


@pytest.mark.parametrize(
    ("value", "instead"), [("sk-Live-12", "xx-Xxxx-00"), ("xx00", "yy11"), ("€ü", "€é"), ("--", "--")]
)
def test_a_placeholder_keeps_the_form_and_is_another_text(value: str, instead: str) -> None:
    assert placeholder(value) == instead


@given(st.binary(max_size=5), st.binary(max_size=5))
def test_every_form_of_a_secret_is_found(before: bytes, after: bytes) -> None:
    hidden = Hidden([SECRET])
    raw = before + SECRET.encode() + after
    for encoded in (raw, base64.b64encode(raw), base64.urlsafe_b64encode(raw), raw.hex().encode()):
        found = hidden.data(encoded)
        assert len(found) == len(encoded)
        assert found != encoded
    for text in (json.dumps(SECRET), quote(SECRET, safe=""), SECRET.encode().decode("latin-1")):
        assert len(hidden.text(text)) == len(text)
        assert "Ab12" not in hidden.text(text)


def test_base64_is_hidden_and_decodes_to_the_placeholder() -> None:
    for user in ("", "a", "ab", "abc"):
        basic = base64.b64encode(f"{user}:{SECRET}".encode())
        decoded = base64.b64decode(Hidden([SECRET]).data(basic)).decode("utf-8", "replace")
        assert "Ab12" not in decoded
        assert len(decoded.encode()) >= len(user) + 1


def test_short_values_are_not_looked_for() -> None:
    assert Hidden(["abc"]).text("abcabc") == "abcabc"
    assert not Hidden(["abc"])


def test_thousands_of_cookies_do_not_make_the_search_last() -> None:
    events = Events()
    cookies = [f"name{number}=value-{number:06}" for number in range(5000)]
    events.fetch(
        1, None, None, "GET", "http://h/", (("cookie", "; ".join(cookies)),), b"value-000001 value-004999"
    )
    hiding = Hiding({"TOKEN": SECRET})
    hiding.look(events.frame())
    assert len(hiding.hidden._texts) < 5 * MOST + 20
    (event,), blobs = read_events(hiding.hide(events.frame()))
    told = event_fields(event, blobs)
    assert "value" not in told["headers"][0][1], "where it is a credential it is hidden all the same"
    assert told["body"] == "xxxxx-000000 value-004999"
    assert any("in those headers alone" in text for text in hiding.told)


def test_a_short_value_in_a_url_is_neither_hidden_nor_said_to_be() -> None:
    events = Events()
    events.fetch(1, None, None, "GET", "http://h/?token=abc", (), None)
    hiding = Hiding({})
    hiding.look(events.frame())
    assert hiding.told == ()
    assert hiding.hide(events.frame()) == events.frame()


def test_bindings_credentials_and_ids_are_hidden_everywhere() -> None:
    first, second = Events(), Events()
    first.init([("TOKEN", "value", wire.dump_value(SECRET)), ("PIN", "value", wire.dump_value("1234"))], {})
    headers = (("Authorization", "Bearer tok-abcdef"), ("cookie", "a=session99; b=x"), ("accept", "*/*"))
    first.fetch(
        1, None, {"p": "session99"}, "POST", f"http://h/{ID}?api_key=querysecret", headers, b"1234 tok-abcdef"
    )
    second.resolve_response(
        1, 200, (("set-cookie", "id=fresh-cookie; Path=/"),), b"x" + SECRET.encode(), f"http://k/{ID}"
    )
    hiding = Hiding({"TOKEN": SECRET, "PIN": "1234"})
    frames = [first.frame(), second.frame()]
    for frame in frames:
        hiding.look(frame)
    (init, fetch), blobs = read_events(hiding.hide(frames[0]))
    assert event_fields(init, blobs)["bindings"] == {"TOKEN": placeholder(SECRET), "PIN": "0000"}
    told = event_fields(fetch, blobs)
    assert told["url"] == "http://h/00000000-0xx0-0x00-00x0-0xx0x0xx000x?api_key=xxxxxxxxxxx"
    assert dict(told["headers"])["accept"] == "*/*"
    assert dict(told["headers"])["Authorization"] == placeholder("Bearer tok-abcdef")
    assert (told["props"], told["body"]) == ({"p": "xxxxxxx00"}, "1234 xxx-xxxxxx")
    (response,), blobs = read_events(hiding.hide(frames[1]))
    told = event_fields(response, blobs)
    assert dict(told["headers"]) == {"set-cookie": placeholder("id=fresh-cookie; Path=/")}
    assert (told["body"], told["url"]) == (
        "x" + placeholder(SECRET),
        "http://k/00000000-0xx0-0x00-00x0-0xx0x0xx000x",
    )
    assert hiding.told == (
        "the binding PIN", "the binding TOKEN", "the header authorization", "the header cookie",
        "the header set-cookie", "what looks like an id or a token in the URL",
    )  # fmt: skip
