"""What a worker's isolates ask of `crypto.subtle`: a capability that computes, and keeps nothing.

The library is loaded when the first worker computes something with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd.errors import NoSuchMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Request, Response

GENERATE_MS: Final = ((2048, 30.0), (3072, 150.0), (4096, 500.0))
"""CPU time that generating a key of RSA takes at the median, by the bits of its modulus; on our machine of 2 cores."""
QUICK: Final = frozenset(
    [
        *(f"{what} {mode}" for what in ("encrypt", "decrypt") for mode in ("AES-CBC", "AES-CTR", "AES-GCM")),
        *(f"{what} {kind}" for what in ("sign", "verify") for kind in ("P-256", "Ed25519")),
        *(f"agree {kind}" for kind in ("P-256", "X25519")),
        *(f"generate {kind}" for kind in ("P-256", "Ed25519", "X25519")),
    ]
)
"""What takes 0.02 to 0.1 ms with little data."""
LITTLE: Final = 16_384
"""Bytes of arguments: AES takes another 0.02 ms for them."""
LITTLE_TEXT: Final = 512
"""Bytes of what is not bytes in them: reading hostile brackets takes longer than computing."""
QUICK_MS: Final = 0.1
USUAL_MS: Final = 1.0
"""Everything else: at most the 3 ms of RSA with 4096 bits, and of megabytes."""


class WebCrypto:
    """Implements `dispatch.channels.Computing`."""

    external = False

    __slots__ = ("_perform",)

    def __init__(self) -> None:
        self._perform: Callable[[str, bytes], bytes] | None = None
        """`operations.perform`, once it is loaded."""

    def prepare(self) -> None:
        """See `Computing`."""
        if self._perform is None:
            from .operations import perform  # noqa: PLC0415 (start-up time)

            self._perform = perform

    def cost_ms(self, method: str, arguments: bytes) -> float:
        """See `Computing`. Nothing is quick before the library is loaded."""
        if method in _RECKONED:
            return max(_RECKONED[method](arguments), USUAL_MS)
        is_little = len(arguments) <= LITTLE and int.from_bytes(arguments[:4], "little") <= LITTLE_TEXT
        return QUICK_MS if is_little and method in QUICK and self._perform is not None else USUAL_MS

    def compute(self, method: str, arguments: bytes) -> bytes:
        """See `Computing`."""
        assert self._perform is not None
        return self._perform(method, arguments)

    async def call(self, method: str, arguments: bytes) -> bytes:  # noqa: ARG002
        """Refused: what is asked is computed."""
        raise NoSuchMethod("this capability computes only")

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """Refused."""
        await request.body.aclose()
        raise NoSuchMethod("this capability computes only")

    async def aclose(self) -> None:
        """Nothing to let go of."""


def _generating(arguments: bytes) -> float:
    from pyworkerd.bindings import arguments as args  # noqa: PLC0415 (start-up time)

    bits = args.bind("generate RSA", {"bits": int, "exponent": int}, args.decode(arguments, LITTLE_TEXT))[
        "bits"
    ]
    return next((cost for most, cost in GENERATE_MS if bits <= most), USUAL_MS)


def _stretching(arguments: bytes) -> float:
    from pyworkerd.bindings import arguments as args  # noqa: PLC0415 (start-up time)

    from .stretching import MAX_GIVEN, PARAMETERS, cost_ms  # noqa: PLC0415 (start-up time)

    given = args.bind("scrypt", PARAMETERS, args.decode(arguments, MAX_GIVEN, LITTLE_TEXT))
    return cost_ms(given["cost"], given["block"], given["parallel"])


_RECKONED: Final = {"generate RSA": _generating, "scrypt": _stretching}
"""What depends on its arguments."""
