"""The capability behind `crypto.subtle`: what it says things cost, and that it only computes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyworkerd.dispatch.channels import Computing
from pyworkerd.dispatch.computing import LONG_MS, QUICK_MS
from pyworkerd.errors import NoSuchMethod, WorkerException
from pyworkerd.messages import Body, Request
from pyworkerd.runtime import Runtime
from pyworkerd.webcrypto.capability import LITTLE, WebCrypto
from pyworkerd_isolates import wire


def said(*values: Any) -> bytes:
    return wire.dump_value([list(values), {}])


@pytest.fixture
def capability() -> WebCrypto:
    made = WebCrypto()
    made.prepare()
    return made


def test_it_computes(capability: WebCrypto) -> None:
    assert isinstance(capability, Computing)
    arguments = said(bytes(16), bytes(16), bytes(3))
    encrypted = wire.load_value(capability.compute("encrypt AES-CBC", arguments))
    assert len(encrypted) == 16


@pytest.mark.parametrize(
    ("method", "arguments", "is_quick"),
    [
        ("encrypt AES-GCM", said(bytes(100)), True),
        ("encrypt AES-GCM", said(bytes(LITTLE)), False),
        ("encrypt AES-GCM", said(*[[]] * 400), False),
        ("sign P-256", said(), True),
        ("sign P-521", said(), False),
        ("sign RSA-PSS", said(), False),
        ("nothing", said(), False),
    ],
)
def test_what_is_quick(capability: WebCrypto, method: str, arguments: bytes, is_quick: bool) -> None:
    assert (capability.cost_ms(method, arguments) <= QUICK_MS) is is_quick
    assert capability.cost_ms(method, arguments) <= LONG_MS


def test_nothing_is_quick_before_the_library_is_loaded() -> None:
    assert QUICK_MS < WebCrypto().cost_ms("sign P-256", said()) <= LONG_MS


def test_generating_a_key_of_rsa_takes_long(capability: WebCrypto) -> None:
    costs = [capability.cost_ms("generate RSA", said(bits, 3)) for bits in (1024, 3072, 4096)]
    assert LONG_MS < costs[0] < costs[1] < costs[2]
    assert (
        capability.cost_ms("generate RSA", said(1 << 70, 3)) <= LONG_MS
    )  # it is refused when it is computed
    with pytest.raises(WorkerException, match="'bits' must be int"):
        capability.cost_ms("generate RSA", said("many", 3))


@pytest.mark.parametrize(
    ("files", "has_it"),
    [
        ({"w.js": "export default { fetch() { return new Response(); } };"}, True),
        ({"w.py": "from workers import WorkerEntrypoint\n\nclass Default(WorkerEntrypoint): pass\n"}, False),
    ],
)
def test_who_has_it(files: dict[str, str], has_it: bool) -> None:
    """What a language has no use for, its workers are not given."""

    async def main() -> None:
        async with Runtime() as runtime:
            worker = (await runtime.load(files)).service
            index = worker.meta["crypto"]
            assert (index is not None) is has_it
            assert worker.channels.computing(0) is None
            if has_it:
                assert isinstance(worker.channels.computing(index), WebCrypto)

    asyncio.run(main())


def test_it_is_neither_called_nor_sent_anything(capability: WebCrypto) -> None:
    async def main() -> None:
        with pytest.raises(NoSuchMethod, match="computes only"):
            await capability.call("sign P-256", said())
        with pytest.raises(NoSuchMethod, match="computes only"):
            await capability.fetch(Request("GET", "http://x/", (), Body(b"")), "manual")
        await capability.aclose()

    asyncio.run(main())
