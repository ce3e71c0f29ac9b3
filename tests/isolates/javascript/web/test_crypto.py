"""crypto: random values, and what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("crypto.getRandomValues(new Float32Array(1))", "TypeMismatchError: "),
        ("crypto.getRandomValues(new DataView(new ArrayBuffer(1)))", "TypeMismatchError: "),
        ("crypto.getRandomValues(new Uint8Array(65537))", "QuotaExceededError: "),
        ("crypto.subtle.timingSafeEqual(new Uint8Array(1), new Uint8Array(2))", "TypeError: "),
        ("(0, crypto.randomUUID)()", "TypeError: Illegal invocation"),
        ("crypto.getRandomValues.call({}, new Uint8Array(1))", "TypeError: Illegal invocation"),
        ("new Crypto()", "TypeError: Illegal constructor"),
    ],
)
def test_what_is_refused(run: Callable[..., Any], expression: str, message: str) -> None:
    found = run(
        f"try {{ await {expression}; }} catch (error) {{ return `${{error.name}}: ${{error.message}}`; }}"
    )
    assert found.startswith(message)


def test_random_values_fill_an_array(run: Callable[..., Any]) -> None:
    body = """
    const array = new Uint16Array(new ArrayBuffer(10), 2, 3);
    return [crypto.getRandomValues(array) === array, new Uint8Array(array.buffer)];
    """
    same, values = run(body)
    assert same
    assert values[:2] + values[8:] == [0, 0, 0, 0]
    assert all(values[2:8])


def test_uuids_are_of_version_four(run: Callable[..., Any]) -> None:
    first, second = run("return [crypto.randomUUID(), crypto.randomUUID()];")
    assert first != second
    assert re.fullmatch(r"[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}", first)


@pytest.mark.parametrize(("other", "equal"), [([1, 2, 3], True), ([1, 2, 4], False)])
def test_comparing(run: Callable[..., Any], other: list[int], equal: bool) -> None:
    body = "return crypto.subtle.timingSafeEqual(Uint8Array.of(1, 2, 3), new Uint8Array(other));"
    assert run(body, other=other) is equal


def test_lengths_are_those_of_the_standard(run: Callable[..., Any]) -> None:
    body = "return ['digest', 'deriveBits', 'unwrapKey'].map((name) => SubtleCrypto.prototype[name].length);"
    assert run(body) == [2, 2, 7]
