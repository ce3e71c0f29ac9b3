"""What a key, a value and its options may be, in the words that Workers have for it. Pure.

Limits and texts: Workers KV (limits; the errors of its API as miniflare's KV gateway and workerd's kv.c++ give them).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from pyworkerd.bindings.arguments import type_error
from pyworkerd.errors import BadCall

MAX_KEY: Final = 512
MAX_VALUE: Final = 25 << 20
MAX_METADATA: Final = 1024
MIN_TTL: Final = 60
MIN_CACHE_TTL: Final = 30
MAX_LIST: Final = 1000
MAX_KEYS: Final = 100
MAX_EXPIRATION: Final = 1 << 53
"""Seconds since 1970 that a JavaScript number can say."""


def failed(method: str, status: int, text: str) -> BadCall:
    """An error as Workers word it."""
    return BadCall(f"KV {method} failed: {status} {text}")


def key_bytes(key: Any, method: str) -> bytes:
    """A key as it is kept. Raises `BadCall`, or a TypeError for the guest."""
    if type(key) is not str:
        raise type_error(f"a key has to be str, not {type(key).__name__}")
    if key == "":
        raise type_error("Key name cannot be empty.")
    if key in (".", ".."):
        raise type_error(f'"{key}" is not allowed as a key name.')
    try:
        data = key.encode()
    except UnicodeEncodeError:
        raise type_error("a key has to be text that UTF-8 can say") from None
    if len(data) > MAX_KEY:
        raise failed(
            method, 414, f"UTF-8 encoded length of {len(data)} exceeds key length limit of {MAX_KEY}."
        )
    return data


def many_keys(keys: Any) -> list[bytes]:
    """The keys of one call that gets many, each once, in their order."""
    if type(keys) is not list:
        raise type_error("the keys are not a list")
    if len(keys) > MAX_KEYS:
        raise failed("GET_BULK", 400, f"You can request a maximum of {MAX_KEYS} keys")
    return list(dict.fromkeys(key_bytes(key, "GET_BULK") for key in keys))


def expires(expiration: Any, ttl: Any, now: float) -> int | None:
    """The second since 1970 at which an entry is gone; a time to live goes before a date. None for never."""
    second = int(now)
    if ttl is not None:
        seconds = _integer(ttl)
        if seconds is None or seconds <= 0:
            raise failed(
                "PUT", 400, f"Invalid expiration_ttl of {_shown(ttl)}. Please specify integer greater than 0."
            )
        if seconds < MIN_TTL:
            text = f"Invalid expiration_ttl of {_shown(ttl)}. Expiration TTL must be at least {MIN_TTL}."
            raise failed("PUT", 400, text)
        return second + seconds
    if expiration is None:
        return None
    moment = _integer(expiration)
    if moment is None or moment <= second:
        text = (
            f"Invalid expiration of {_shown(expiration)}. Please specify integer greater than the current number "
            "of seconds since the UNIX epoch."
        )
        raise failed("PUT", 400, text)
    if moment < second + MIN_TTL:
        text = (
            f"Invalid expiration of {_shown(expiration)}. Expiration times must be at least {MIN_TTL} seconds "
            "in the future."
        )
        raise failed("PUT", 400, text)
    return moment


def check_metadata(metadata: str | None) -> str | None:
    """Metadata, a JSON text. Raises `BadCall` if there is too much of it."""
    if metadata is not None and (size := len(metadata.encode("utf-8", "surrogatepass"))) > MAX_METADATA:
        raise failed("PUT", 413, f"Metadata length of {size} exceeds limit of {MAX_METADATA}.")
    return metadata


def check_cache_ttl(seconds: Any, method: str = "GET") -> None:
    """How long a value may be cached: there is no cache that it would mean something to."""
    if seconds is None:
        return
    number = _integer(seconds)
    if number is None or number < MIN_CACHE_TTL:
        text = f"Invalid cache_ttl of {_shown(seconds)}. Cache TTL must be at least {MIN_CACHE_TTL}."
        raise failed(method, 400, text)


def value_too_large(size: int) -> BadCall:
    """More than a value may have."""
    return failed("PUT", 413, f"Value length of {size} exceeds limit of {MAX_VALUE}.")


def list_limit(limit: Any) -> int:
    """How many keys a page has at most."""
    if limit is None:
        return MAX_LIST
    number = _integer(limit)
    if number is None or number < 1:
        text = f"Invalid key_count_limit of {_shown(limit)}. Please specify an integer greater than 0."
        raise failed("GET", 400, text)
    if number > MAX_LIST:
        text = f"Invalid key_count_limit of {_shown(limit)}. Please specify an integer less than {MAX_LIST}."
        raise failed("GET", 400, text)
    return number


def prefix_bytes(prefix: Any) -> bytes:
    """What the keys of a list begin with."""
    if prefix is None or prefix == "":
        return b""
    if type(prefix) is not str:
        raise type_error(f"a prefix has to be str, not {type(prefix).__name__}")
    data = prefix.encode("utf-8", "surrogatepass")
    if len(data) > MAX_KEY:
        raise failed(
            "GET", 414, f"UTF-8 encoded length of {len(data)} exceeds key length limit of {MAX_KEY}."
        )
    return data


def cursor_of(key: bytes) -> str:
    """Where the next page goes on: after this key. Opaque to workers."""
    return base64.urlsafe_b64encode(key).decode()


def after(cursor: Any) -> bytes:
    """The key after which a page begins."""
    if cursor is None or cursor == "":
        return b""
    try:
        found = base64.b64decode(cursor, b"-_", validate=True) if type(cursor) is str else None
    except (binascii.Error, ValueError):
        found = None
    if found is None or len(found) > MAX_KEY:
        raise failed("GET", 400, "Invalid cursor")
    return found


def _integer(value: Any) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -MAX_EXPIRATION < value < MAX_EXPIRATION else None


def _shown(value: Any) -> str:
    return str(value)[:40]
