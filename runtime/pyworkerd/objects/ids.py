"""Ids of Durable Objects, as the host checks them. Pure. The guest makes them: `workers/durable.py`.

An id is 32 bytes in hexadecimal (workerd, actor-id-impl.c++). The first half says which object it is: random, or a MAC
of a name. The second half is a MAC of the first, under the namespace's key, which is the hash of its unique key. So an
id of one namespace means nothing in another. It is no secret that keeps anybody from an object: only who is bound to
a namespace can send anything to its objects.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

HALF: Final = 16
"""Bytes."""


def key_of(unique_key: str) -> bytes:
    """The key of a namespace."""
    return hashlib.sha256(unique_key.encode()).digest()


def of_name(key: bytes, name: str) -> str:
    """The id of the object of a name."""
    half = _mac(key, name.encode("utf-8", "surrogatepass"))
    return (half + _mac(key, half)).hex()


def is_valid(key: bytes, id_: str) -> bool:
    """Whether the namespace with this key has made this id: 64 hexadecimal digits in lower case."""
    try:
        data = bytes.fromhex(id_)
    except ValueError:
        return False
    if len(data) != 2 * HALF or data.hex() != id_:
        return False
    return hmac.compare_digest(_mac(key, data[:HALF]), data[HALF:])


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:HALF]
