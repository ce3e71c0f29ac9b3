"""AES in the modes of Web Crypto. Bytes of keys, and what the standard calls the parameters, come from a guest.

Large inputs are computed in pieces, between which other threads may have the interpreter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7

from .faults import data_error, operation_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers import (
        AEADDecryptionContext,
        AEADEncryptionContext,
        CipherContext,
    )

    Context = CipherContext | AEADDecryptionContext | AEADEncryptionContext

BLOCK: Final = 16
TAGS: Final = (32, 64, 96, 104, 112, 120, 128)
"""Bits of a tag (Web Cryptography API, section 29.4.1)."""
IV_SIZES: Final = range(8, 129)
"""Bytes of an initialization vector of GCM that the library takes; the standard has 1 to 2**64 - 1."""
MAX_WRAPPED: Final = 8192
"""Bytes that AES-KW wraps: it is for keys, and the library does it block by block in Python."""
_PIECE: Final = 1 << 18


def cbc(key: bytes, iv: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """CBC with PKCS #7 padding."""
    cipher = Cipher(_aes(key), modes.CBC(_block(iv, "the initialization vector of AES-CBC")))
    if encrypt:
        padder = PKCS7(8 * BLOCK).padder()
        return _through(cipher.encryptor(), padder.update(data) + padder.finalize())
    if not data or len(data) % BLOCK:
        raise operation_error("what AES-CBC has encrypted is a number of whole blocks")
    padded = _through(cipher.decryptor(), data)
    remover = PKCS7(8 * BLOCK).unpadder()
    try:
        return remover.update(padded) + remover.finalize()
    except ValueError:
        raise operation_error("AES-CBC: the data cannot be decrypted with this key and vector") from None


def ctr(key: bytes, counter: bytes, bits: int, data: bytes) -> bytes:
    """CTR, both ways: the last `bits` bits of the block count, and begin again at zero."""
    _block(counter, "the counter of AES-CTR")
    if not 1 <= bits <= 8 * BLOCK:
        raise operation_error("the counter of AES-CTR has 1 to 128 bits")
    blocks, first = -(-len(data) // BLOCK), int.from_bytes(counter, "big")
    rest = (1 << bits) - (first & ((1 << bits) - 1))
    if blocks > 1 << bits:
        raise operation_error(f"a counter of {bits} bits counts fewer blocks than there are")
    cipher = _aes(key)
    made = _through(Cipher(cipher, modes.CTR(counter)).encryptor(), data[: rest * BLOCK])
    if blocks > rest:
        again = (first >> bits << bits).to_bytes(BLOCK, "big")
        made += _through(Cipher(cipher, modes.CTR(again)).encryptor(), data[rest * BLOCK :])
    return made


def gcm_encrypt(key: bytes, iv: bytes, additional: bytes, bits: int, data: bytes) -> bytes:
    """GCM; the tag, of so many bits, comes after what is encrypted."""
    _check_gcm(iv, bits)
    context = Cipher(_aes(key), modes.GCM(iv)).encryptor()
    context.authenticate_additional_data(additional)
    return _through(context, data) + context.tag[: bits // 8]


def gcm_decrypt(key: bytes, iv: bytes, additional: bytes, bits: int, data: bytes) -> bytes:
    """The other way. Raises `OperationError` for what was not encrypted like this, and tells nothing of it."""
    _check_gcm(iv, bits)
    size = bits // 8
    if len(data) < size:
        raise operation_error("AES-GCM: the data is shorter than the tag")
    context = Cipher(_aes(key), modes.GCM(iv, data[-size:], min_tag_length=size)).decryptor()
    context.authenticate_additional_data(additional)
    try:
        return _through(context, data[:-size])
    except InvalidTag:
        raise operation_error(
            "AES-GCM: the data was not encrypted with this key and these parameters"
        ) from None


def wrap(key: bytes, data: bytes) -> bytes:
    """AES Key Wrap (RFC 3394)."""
    return _wrapping(aes_key_wrap, key, data, 2 * 8)


def unwrap(key: bytes, data: bytes) -> bytes:
    """The other way."""
    return _wrapping(aes_key_unwrap, key, data, 3 * 8)


def _wrapping(function: Callable[[bytes, bytes], bytes], key: bytes, data: bytes, least: int) -> bytes:
    _aes(key)
    if not least <= len(data) <= MAX_WRAPPED or len(data) % 8:
        raise operation_error(f"AES-KW takes {least} to {MAX_WRAPPED} bytes, a multiple of 8")
    try:
        return function(key, data)
    except InvalidUnwrap:
        raise operation_error("AES-KW: the data was not wrapped with this key") from None


def _aes(key: bytes) -> algorithms.AES:
    if len(key) not in (16, 24, 32):
        raise data_error("a key of AES has 128, 192 or 256 bits")
    return algorithms.AES(key)


def _block(data: bytes, what: str) -> bytes:
    if len(data) != BLOCK:
        raise operation_error(f"{what} has {BLOCK} bytes")
    return data


def _check_gcm(iv: bytes, bits: int) -> None:
    if len(iv) not in IV_SIZES:
        raise operation_error(
            f"the initialization vector of AES-GCM has {IV_SIZES.start} to {IV_SIZES.stop - 1} bytes here"
        )
    if bits not in TAGS:
        raise operation_error(f"the tag of AES-GCM has one of {', '.join(map(str, TAGS))} bits")


def _through(context: Context, data: bytes) -> bytes:
    view = memoryview(data)
    pieces = [context.update(view[at : at + _PIECE]) for at in range(0, len(data), _PIECE)]
    return b"".join((*pieces, context.finalize()))
