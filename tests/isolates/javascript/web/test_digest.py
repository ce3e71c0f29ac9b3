"""Digests, and what is made of them, in the engine itself: as hashlib makes them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

HASHES = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "MD5": "md5"}
SIZES = [0, 1, 3, 55, 56, 57, 63, 64, 65, 111, 112, 113, 127, 128, 129, 1000]


@pytest.fixture
def answer(start: Callable[..., Driver]) -> Callable[[str], Any]:
    """What the body of a handler returns, as JSON has it."""

    def evaluate(body: str, **limits: Any) -> Any:
        source = (
            f"const run = async () => {{ {body} }}; const hex = (bytes) => new Uint8Array(bytes).toHex();\n"
            "export default { async fetch() { return Response.json([await run()]); } };"
        )
        run = start({"worker.js": source}, **limits).fetch()
        assert run.status == 200, run
        return run.json[0]

    return evaluate


def message(size: int) -> bytes:
    return bytes((i * 7 + size) % 256 for i in range(size))


@pytest.mark.parametrize("name", HASHES)
def test_messages_around_the_size_of_a_block(answer: Callable[..., Any], name: str) -> None:
    body = f"""
    const message = (size) => Uint8Array.from({{ length: size }}, (_, i) => i * 7 + size);
    const all = {SIZES}.map((size) => crypto.subtle.digest("{name}", message(size)));
    return (await Promise.all(all)).map(hex);
    """
    assert answer(body) == [hashlib.new(HASHES[name], message(size)).hexdigest() for size in SIZES]


def test_more_than_is_copied_at_once(answer: Callable[..., Any]) -> None:
    body = "return hex(await crypto.subtle.digest('SHA-256', new Uint8Array(1_000_003).fill(7)));"
    assert answer(body) == hashlib.sha256(bytes([7]) * 1_000_003).hexdigest()


@pytest.mark.parametrize("algorithm", ["'sha-256'", "{ name: 'SHA-256' }"])
def test_algorithms_are_named_in_two_ways(answer: Callable[..., Any], algorithm: str) -> None:
    body = f"return hex(await crypto.subtle.digest({algorithm}, new DataView(new ArrayBuffer(2))));"
    assert answer(body) == hashlib.sha256(bytes(2)).hexdigest()
