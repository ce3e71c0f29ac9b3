"""What R2 says when it refuses something: the sentences and numbers that Workers have for it."""

from __future__ import annotations

from typing import Final

from pyworkerd.errors import BadCall

_DIGEST: Final = (
    "The {0} checksum you specified did not match what we received.\n"
    "You provided a {0} checksum with value: {1}\nActual {0} was: {2}"
)
FAULTS: Final[dict[str, tuple[str, int]]] = {
    "internal": ("We encountered an internal error. Please try again.", 10001),
    "too_large": ("Your proposed upload exceeds the maximum allowed object size.", 100100),
    "too_small": ("Your proposed upload is smaller than the minimum allowed object size.", 10011),
    "metadata_too_large": ("Your metadata headers exceed the maximum allowed metadata size.", 10012),
    "object_name": ("The specified object name is not valid.", 10020),
    "max_keys": ("MaxKeys params must be positive integer <= 1000.", 10022),
    "no_upload": ("The specified multipart upload does not exist.", 10024),
    "part": ("One or more of the specified parts could not be found.", 10025),
    "argument": ("Invalid argument", 10029),
    "digest": (_DIGEST, 10037),
    "range": ("The requested range is not satisfiable", 10039),
    "upload": ("There was a problem with the multipart upload.", 10048),
    "length": ("You did not provide the number of bytes specified by the Content-Length HTTP header.", 10013),
    "uploads": ("Too many multipart uploads are open: complete or abort some of them.", 10058),
}  # fmt: skip
"""The last two are S3's and our own; the rest is what the simulator of Workers says (miniflare, errors.worker.ts)."""


def fault(action: str, name: str, *facts: object) -> BadCall:
    """`put: The specified object name is not valid. (10020)`, as workerd puts it together (r2-rpc.c++)."""
    text, code = FAULTS[name]
    return BadCall(f"{action}: {text.format(*facts) if facts else text} ({code})")
