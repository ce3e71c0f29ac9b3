"""AES in each mode: both ways, counters that wrap, and what cannot be decrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import WorkerException
from pyworkerd.webcrypto import ciphers

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, IV = bytes(range(16)), bytes(range(16, 32))
DATA = st.binary(max_size=100)


@given(st.sampled_from([16, 24, 32]), DATA, st.binary(max_size=20), st.sampled_from(ciphers.TAGS))
def test_what_was_encrypted_comes_back(size: int, data: bytes, additional: bytes, tag: int) -> None:
    key = bytes(size)
    assert ciphers.cbc(key, IV, ciphers.cbc(key, IV, data, encrypt=True), encrypt=False) == data
    assert ciphers.ctr(key, IV, 64, ciphers.ctr(key, IV, 64, data)) == data
    encrypted = ciphers.gcm_encrypt(key, IV, additional, tag, data)
    assert len(encrypted) == len(data) + tag // 8
    assert ciphers.gcm_decrypt(key, IV, additional, tag, encrypted) == data
    keys = data[: len(data) // 8 * 8].ljust(16, b"\0")
    assert ciphers.unwrap(key, ciphers.wrap(key, keys)) == keys


@given(st.integers(1, 128), st.binary(min_size=16, max_size=16), DATA)
def test_a_counter_of_so_many_bits(bits: int, counter: bytes, data: bytes) -> None:
    """Each block by itself, with a counter that is counted here."""
    blocks = [data[at : at + 16] for at in range(0, len(data), 16)]
    if len(blocks) > 1 << bits:
        with pytest.raises(WorkerException, match="fewer blocks"):
            ciphers.ctr(KEY, counter, bits, data)
        return
    first, mask = int.from_bytes(counter, "big"), (1 << bits) - 1
    expected = b""
    for place, block in enumerate(blocks):
        number = (first & ~mask) | ((first + place) & mask)
        stream = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor().update(number.to_bytes(16, "big"))
        expected += bytes(a ^ b for a, b in zip(block, stream, strict=False))
    assert ciphers.ctr(KEY, counter, bits, data) == expected


def test_pieces_are_one_whole() -> None:
    data = bytes(range(256)) * 3000
    whole = Cipher(algorithms.AES(KEY), modes.CTR(IV)).encryptor().update(data)
    assert ciphers.ctr(KEY, IV, 128, data) == whole
    assert ciphers.gcm_decrypt(KEY, IV, b"", 128, ciphers.gcm_encrypt(KEY, IV, b"", 128, data)) == data


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ciphers.cbc(b"", IV, b"", encrypt=True), "DataError: a key of AES"),
        (lambda: ciphers.cbc(KEY, b"", b"", encrypt=True), "vector of AES-CBC has 16 bytes"),
        (lambda: ciphers.cbc(KEY, IV, b"", encrypt=False), "whole blocks"),
        (lambda: ciphers.cbc(KEY, IV, bytes(17), encrypt=False), "whole blocks"),
        (lambda: ciphers.cbc(KEY, IV, bytes(16), encrypt=False), "cannot be decrypted"),
        (lambda: ciphers.ctr(KEY, bytes(15), 8, b""), "counter of AES-CTR has 16 bytes"),
        (lambda: ciphers.ctr(KEY, IV, 0, b""), "1 to 128 bits"),
        (lambda: ciphers.ctr(KEY, IV, 129, b""), "1 to 128 bits"),
        (lambda: ciphers.gcm_encrypt(KEY, b"", b"", 128, b""), "has 8 to 128 bytes here"),
        (lambda: ciphers.gcm_encrypt(KEY, IV, b"", 100, b""), "one of 32, 64"),
        (lambda: ciphers.gcm_decrypt(KEY, IV, b"", 128, bytes(15)), "shorter than the tag"),
        (lambda: ciphers.gcm_decrypt(KEY, IV, b"", 32, bytes(20)), "was not encrypted with"),
        (lambda: ciphers.wrap(KEY, bytes(8)), "16 to 8192 bytes"),
        (lambda: ciphers.wrap(KEY, bytes(17)), "a multiple of 8"),
        (lambda: ciphers.unwrap(KEY, bytes(8200)), "24 to 8192 bytes"),
        (lambda: ciphers.unwrap(KEY, bytes(24)), "was not wrapped with"),
    ],
)
def test_what_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(WorkerException, match=message):
        call()
