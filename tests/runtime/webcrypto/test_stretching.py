"""scrypt: what it derives, what it may take, and `node:crypto` that asks for it."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from pyworkerd.errors import WorkerException
from pyworkerd.runtime import Runtime
from pyworkerd.webcrypto.capability import WebCrypto
from pyworkerd.webcrypto.stretching import MAX_LENGTH, MAX_WORK, cost_ms, scrypt
from pyworkerd_config.model import Limits
from pyworkerd_isolates import wire


def test_a_vector_of_the_rfc() -> None:
    made = scrypt(b"password", b"NaCl", 1024, 8, 16, 64)
    assert made.hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")


def test_all_of_the_memory_that_the_bound_says() -> None:
    made = scrypt(b"p", b"s", 1 << 15, 8, 3, 32)
    assert made.hex().startswith("13d8c3fcef48ebf59e4a747a7f0b9a0a")  # as Node.js answers
    assert len(scrypt(b"", b"", 2, 8192, 1, 5)) == 5


@pytest.mark.parametrize(
    ("cost", "block", "parallel", "length"),
    [
        (3, 8, 1, 1), (1, 8, 1, 1), (0, 8, 1, 1), (-2, 8, 1, 1), (16, 0, 1, 1), (16, 8, 0, 1), (16, 8, 1, 0),
        (1 << 16, 8, 1, 1), (16, 1 << 20, 1, 1), (16, 1, 1 << 20, 1), (1 << 10, 8, 1 << 10, 1), (1 << 70, 1, 1, 1),
        (16, 8, 1, MAX_LENGTH + 1), (1 << 14, 17, 1, 1), (2, 1, 1 << 14, 1),
        (1 << 16, 1, 1, 1),
    ],
)  # fmt: skip
def test_what_is_not_computed(cost: int, block: int, parallel: int, length: int) -> None:
    with pytest.raises(WorkerException, match="scrypt"):
        scrypt(b"", b"", cost, block, parallel, length)


def test_what_it_costs_is_known_before() -> None:
    capability = WebCrypto()
    capability.prepare()

    def reckoned(*numbers: int) -> float:
        return capability.cost_ms("scrypt", wire.dump_value([[b"", b"", *numbers, 32], {}]))

    assert 20 < reckoned(1 << 14, 8, 1) < reckoned(1 << 15, 8, 1)
    assert reckoned(1 << 70, 8, 1) < 8
    assert cost_ms(MAX_WORK, 1, 1) < 1500
    with pytest.raises(WorkerException, match="larger than 512 bytes"):
        capability.cost_ms("scrypt", wire.dump_value([[[]] * 1000, {}]))
    with pytest.raises(WorkerException, match="'cost' must be int"):
        capability.cost_ms("scrypt", wire.dump_value([[b"", b"", "1", 1, 1, 32], {}]))


SOURCE = """
import { scrypt } from "node:crypto"; import { promisify } from "node:util";
const derive = promisify(scrypt);
const code = (act) => { try { act(); } catch (e) { return e.code; } };
export default { async fetch() {
  return Response.json([
    (await derive("password", "salt", 32, { N: 1024 })).toString("hex"),
    (await derive("password", "salt", 0)).length,
    code(() => scrypt("p", "s", 1, { N: 3 }, () => {})),
    code(() => scrypt("p", "s", 1, { cost: 1 << 20 }, () => {})),
    code(() => scrypt("p", "s", 1)),
    await derive("p", "s", 1, { N: 1 << 20, r: 8, maxmem: 2 ** 31 }).catch(({ name }) => name),
  ]);
} };
"""


def test_programs_of_node() -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.js": SOURCE}, limits=Limits(cpu_ms=2000, startup_ms=10_000))
            return await (await worker.fetch("/")).text()

    expected = hashlib.scrypt(b"password", salt=b"salt", n=1024, r=8, p=1, dklen=32).hex()
    invalid = "ERR_CRYPTO_INVALID_SCRYPT_PARAMS"
    assert json.loads(asyncio.run(main())) == [
        expected,
        0,
        invalid,
        invalid,
        "ERR_INVALID_ARG_TYPE",
        "OperationError",
    ]
