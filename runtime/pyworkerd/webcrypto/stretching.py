"""scrypt (RFC 7914), for programs that were written for Node.js: Web Crypto has none, and in an isolate it is slow.

Rule: nobody can stop it once it runs, so what it takes is bounded before, in memory and in time.
"""

from __future__ import annotations

import hashlib
from typing import Final

from .faults import operation_error

MAX_MEMORY: Final = 32 << 20
"""Bytes of the table that one computation works on (128 * N * r): the most that Node.js allows unless it is told
otherwise (`maxmem`)."""
MAX_LANES: Final = 1 << 20
"""Bytes of what goes into the table and comes out of it (128 * r * p)."""
MAX_WORK: Final = 1 << 21
"""Cost times block size times parallelization: 0.7 s. OWASP's choices for 16 and 32 MiB are 2^20 or less."""
MAX_LENGTH: Final = 65_536
"""Bytes of what is derived."""
MAX_GIVEN: Final = 1 << 20
"""Bytes of password, salt and the rest: they are read before it is known what it takes."""
PARAMETERS: Final[dict[str, type]] = {
    "password": bytes, "salt": bytes, "cost": int, "block": int, "parallel": int, "length": int,
}  # fmt: skip
MS_PER_WORK: Final = 0.00034
"""CPU time for each unit of work, on our machine of 2 cores."""


def scrypt(password: bytes, salt: bytes, cost: int, block: int, parallel: int, length: int) -> bytes:
    """So many bytes from a password. Raises `OperationError`. The interpreter's lock is free meanwhile."""
    if min(cost - 1, block, parallel, length) < 1 or cost & (cost - 1):
        raise operation_error("the cost of scrypt is a power of two, and its other numbers are 1 or more")
    memory, lanes = 128 * block * cost, 128 * block * parallel
    if memory > MAX_MEMORY or lanes > MAX_LANES or cost * block * parallel > MAX_WORK or length > MAX_LENGTH:
        raise operation_error(
            f"scrypt works on {MAX_MEMORY >> 20} MiB at most here (128 * N * r; 128 * r * p: {MAX_LANES >> 20} MiB), "
            f"with N * r * p of {MAX_WORK} at most, and derives {MAX_LENGTH} bytes at most"
        )
    room = memory + lanes + 256 * block  # as OpenSSL counts
    try:
        return hashlib.scrypt(password, salt=salt, n=cost, r=block, p=parallel, maxmem=room, dklen=length)
    except ValueError:  # RFC 7914, section 2: N is less than 2^(16 * r)
        raise operation_error("scrypt has no such combination of a cost and a block size") from None


def cost_ms(cost: int, block: int, parallel: int) -> float:
    """What it is reckoned at; nothing, where it is refused anyway."""
    work = cost * block * parallel
    return work * MS_PER_WORK if 0 < work <= MAX_WORK else 0.0
