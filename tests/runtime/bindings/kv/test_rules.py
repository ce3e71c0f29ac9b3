"""Limits, and the words in which they are told."""

# ruff: noqa: E501 - the sentences are the platform's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.kv import rules
from pyworkerd.errors import BadCall, WorkerException

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1000.9


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: rules.key_bytes("x" * 513, "GET"), "GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512."),
        (lambda: rules.key_bytes("é" * 257, "PUT"), "PUT failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512."),
        (lambda: rules.many_keys(["x"] * 101), "GET_BULK failed: 400 You can request a maximum of 100 keys"),
        (lambda: rules.expires(None, 59, NOW), "PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
        (lambda: rules.expires(None, 0, NOW), "PUT failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0."),
        (lambda: rules.expires(None, "x", NOW), "PUT failed: 400 Invalid expiration_ttl of x. Please specify integer greater than 0."),
        (lambda: rules.expires(None, True, NOW), "PUT failed: 400 Invalid expiration_ttl of True. Please specify integer greater than 0."),
        (lambda: rules.expires(1000, None, NOW), "PUT failed: 400 Invalid expiration of 1000. Please specify integer greater than the current number of seconds since the UNIX epoch."),
        (lambda: rules.expires(1059, None, NOW), "PUT failed: 400 Invalid expiration of 1059. Expiration times must be at least 60 seconds in the future."),
        (lambda: rules.expires(10**30, None, NOW), f"PUT failed: 400 Invalid expiration of {10**30}. Please specify integer greater than the current number of seconds since the UNIX epoch."),
        (lambda: rules.check_metadata("x" * 1025), "PUT failed: 413 Metadata length of 1025 exceeds limit of 1024."),
        (lambda: rules.check_cache_ttl(29), "GET failed: 400 Invalid cache_ttl of 29. Cache TTL must be at least 30."),
        (lambda: rules.list_limit(0), "GET failed: 400 Invalid key_count_limit of 0. Please specify an integer greater than 0."),
        (lambda: rules.list_limit(1001), "GET failed: 400 Invalid key_count_limit of 1001. Please specify an integer less than 1000."),
        (lambda: rules.after("no base64!"), "GET failed: 400 Invalid cursor"),
        (lambda: rules.after(7), "GET failed: 400 Invalid cursor"),
    ],
)  # fmt: skip
def test_refusals(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadCall) as caught:
        check()
    assert str(caught.value) == f"KV {message}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "Key name cannot be empty."),
        (".", '"." is not allowed as a key name.'),
        ("..", '".." is not allowed as a key name.'),
        (5, "a key has to be str, not int"),
        ("\ud800", "UTF-8"),
    ],
)
def test_keys_that_are_none(key: Any, message: str) -> None:
    with pytest.raises(WorkerException, match=message) as caught:
        rules.key_bytes(key, "GET")
    assert caught.value.type_name == "TypeError"


def test_what_is_allowed() -> None:
    assert rules.key_bytes("../../x\0", "GET") == b"../../x\0"
    assert rules.key_bytes("x" * 512, "GET") == b"x" * 512
    assert rules.many_keys(["a", "b", "a"]) == [b"a", b"b"]
    assert rules.expires(None, None, NOW) is None
    assert rules.expires(5, 60, NOW) == 1060
    assert rules.expires(1060, None, NOW) == 1060
    assert rules.expires(2000.0, None, NOW) == 2000
    assert rules.check_metadata("x" * 1024) == "x" * 1024
    assert rules.list_limit(None) == 1000
    assert rules.prefix_bytes(None) == b""
    assert rules.after(rules.cursor_of(b"a\xff")) == b"a\xff"
    assert rules.after("") == b""
