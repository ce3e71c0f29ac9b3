"""What a text in an effect may be."""

from __future__ import annotations

from typing import Any

import pytest
from pyworkerd_isolates import texts
from pyworkerd_isolates.errors import ProtocolError

GOOD: list[tuple[texts.Reader, Any, Any]] = [
    (texts.name, "x" * 256, "x" * 256),
    (texts.name, "\ud83d", "\ufffd"),
    (texts.text, "a\ud800\U0001f600\n", "a\ufffd\U0001f600\n"),
    (texts.level, "error", "error"),
    (texts.level, "notice", "info"),
    (texts.fail_reason, "no_method", "no_method"),
    (texts.redirect, "manual", "manual"),
    (texts.method_name, "", ""),
    (texts.method_name, "größer\n", "größer\n"),
    (texts.method_name, "\U0001f600" * 256, "\U0001f600" * 256),
    (texts.object_name, "x" * 1024, "x" * 1024),
    (texts.http_method, "M-SEARCH", "M-SEARCH"),
    (texts.url, "http://a/ä", "http://a/ä"),
    (texts.close_reason, "ä" * 61, "ä" * 61),
    (texts.close_reason, "\ud800", "\ufffd"),
    (texts.header_pairs, [], ()),
    (
        texts.header_pairs,
        [["Content-Type", "a\tb\xff"], ["X" * 65, ""]],
        (("content-type", "a\tb\xff"), ("x" * 65, "")),
    ),
    (texts.header_pairs, [["a", "b" * 510]] * 256, (("a", "b" * 510),) * 256),
]
BAD: list[tuple[texts.Reader, Any]] = [
    (texts.name, "x" * 257),
    (texts.text, "x" * 65_537),
    (texts.text, b"x"),
    (texts.level, []),
    (texts.fail_reason, ["exception"]),
    (texts.redirect, "Follow"),
    (texts.method_name, "x" * 257),
    (texts.method_name, "ä\udfff"),
    (texts.method_name, "\ud800" * 3),
    (texts.method_name, ["x"]),
    (texts.object_name, "x" * 1025),
    (texts.object_name, "\udc00"),
    (texts.http_method, "GET\n"),
    (texts.url, "http://a/\n"),
    (texts.url, ""),
    (texts.close_reason, "ä" * 62),
    (texts.close_reason, "\ud800" * 42),
    (texts.header_pairs, (("a", "b"),)),
    (texts.header_pairs, [["a" * 65 + "\n", "b"]]),
    (texts.header_pairs, [["a", "b" * 512]] * 256),
]


@pytest.mark.parametrize(("read", "value", "meant"), GOOD, ids=range(len(GOOD)))
def test_a_text_is_read_as_it_was_meant(read: texts.Reader, value: Any, meant: Any) -> None:
    assert read(value, ()) == meant


@pytest.mark.parametrize(("read", "value"), BAD, ids=range(len(BAD)))
def test_a_text_that_is_none_is_refused(read: texts.Reader, value: Any) -> None:
    with pytest.raises(ProtocolError):
        read(value, ())
