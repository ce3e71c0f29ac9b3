"""The functions in place of an operating system, run for real inside the small component's engine."""

import struct

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.core import I32, I64, FunctionType
from pyworkerd_isolates.wasm.system import (
    REFUSED_CALL,
    REFUSED_ENTROPY,
    REFUSED_NOTHING,
    ExportedCall,
    HostCall,
    call_name,
    system_text,
)

WORDS = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 4)


def expected_stream(chacha20_block, key, units):
    current, out = struct.pack("<4q", *key), []
    for counter in range(units):
        whole = chacha20_block(current, counter, bytes(12))
        current = whole[:32]
        out.append(whole[32:])
    return out, current


def test_clocks_read_what_the_host_gave(small):
    isolate = small.start()
    now = 1_764_000_000_123_456_789
    for moment in (now, 0, now + 1):
        monotonic, resolution, seconds, rest = struct.unpack("<QQQI", isolate.call("step", b"t", moment))
        assert (monotonic, resolution) == (moment, 1)
        assert (seconds, rest) == divmod(moment, 1_000_000_000)
        assert isolate.exports["now_ns"].value(isolate.store) == moment


@given(WORDS, st.integers(0, 255))
def test_random_bytes_are_the_generators_stream(small, chacha20_block, key, size):
    isolate = small.start()
    isolate.seed(*key)
    units = -(-size // 32)
    stream, _ = expected_stream(chacha20_block, key, units + 2)
    assert isolate.call("step", bytes((ord("r"), size))) == b"".join(stream[:units])[:size]
    assert isolate.call("step", b"6") == stream[units][:8]
    assert isolate.call("step", b"i") == stream[units + 1][:16]


def test_what_was_drawn_but_not_asked_for_is_wiped(small, chacha20_block, key):
    isolate = small.start()
    isolate.seed(*key)
    isolate.call("step", b"r\x05")
    stream, _ = expected_stream(chacha20_block, key, 1)
    memory = isolate.all_memory()
    assert stream[0][:5] in memory
    assert stream[0][:6] not in memory


@given(WORDS, WORDS)
def test_the_same_key_gives_the_same_bytes_and_another_gives_others(small, one, other):
    def draw(key):
        isolate = small.start()
        isolate.seed(*key)
        return isolate.call("step", b"r\x20")

    assert draw(one) == draw(one)
    assert (draw(one) == draw(other)) == (one == other)


def test_seeding_again_starts_anew(small, key):
    isolate = small.start()
    isolate.seed(*key)
    first = isolate.call("step", b"r\x20")
    assert isolate.call("step", b"r\x20") != first
    isolate.seed(*key)
    assert isolate.call("step", b"r\x20") == first


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (b"r\x00", "wasi:random/random get-random-bytes"),
        (b"r\x08", "wasi:random/random get-random-bytes"),
        (b"6", "wasi:random/random get-random-u64"),
        (b"i", "wasi:random/insecure-seed insecure-seed"),
    ],
)
def test_without_a_key_there_is_no_entropy(small, event, name):
    isolate = small.start()
    before = isolate.all_memory()
    assert isolate.refusal() == (REFUSED_NOTHING, "")
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        isolate.call("step", event)
    assert isolate.refusal() == (REFUSED_ENTROPY, name)
    after = isolate.all_memory()
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= len(event)


@pytest.mark.parametrize(
    ("event", "name"),
    [(b"e", "wasi:cli/exit exit"), (b"l", "wasi:random/random get-random-bytes")],
)
def test_a_system_call_is_written_down_and_traps(small, key, event, name):
    isolate = small.start()
    isolate.seed(*key)
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        isolate.call("step", event)
    assert isolate.refusal() == (REFUSED_CALL, name)
    assert isolate.call("step", b"=fine") == b"=fine"
    assert isolate.refusal() == (REFUSED_NOTHING, "")


def test_dropping_a_resource_does_nothing(small):
    assert small.start().call("step", b"d") == b"at rest"


def test_prepare_calls_the_post_return_of_the_call_before(small):
    isolate = small.start()
    isolate.call("step", b"=a")
    assert isolate.memory.read(isolate.store, 512, 520) == bytes(8)
    _, returned = isolate.previous
    pointer = isolate.function("prepare_step", returned, 10)
    answer = struct.unpack("<I", isolate.memory.read(isolate.store, returned, returned + 4))[0]
    assert struct.unpack("<III", isolate.memory.read(isolate.store, 512, 524)) == (1, returned, answer)
    assert isolate.function("prepare_step", returned, 0) == 0
    assert isolate.function("prepare_step", 0, 0) == pointer + 10
    assert struct.unpack("<I", isolate.memory.read(isolate.store, 512, 516)) == (2,)


RANDOM = FunctionType(bytes((I64, I32)), b"")


@pytest.mark.parametrize(
    ("calls", "exports", "message"),
    [
        (
            [HostCall("wasi:random/random@0.2.9", "get-random-bytes", FunctionType(b"", b""), 0)],
            [],
            "signature",
        ),
        ([HostCall("wasi:random/random@0.2.9", "get-random-bytes", RANDOM)], [], "allocator"),
        ([HostCall("a:b/c", "d", FunctionType(b"\x70", b""))], [], "value type"),
        ([], [ExportedCall('x") (export "y', 0)], "kebab-case"),
        ([], [ExportedCall("a:b/c", 0)], "kebab-case"),
    ],
)
def test_imports_and_exports_that_cannot_be(calls, exports, message):
    with pytest.raises(WasmFormatError, match=message):
        system_text(calls, exports)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5))
def test_hostile_names_never_reach_the_text(names):
    calls = [HostCall(module, name, FunctionType(b"", b"")) for module, name in names]
    text, refusals = system_text([c for c in calls if c.module != "resource"], [])
    assert len(refusals) == len([c for c in calls if c.module != "resource"])
    assert wasmtime.wat2wasm(text)


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        (
            "wasi:sockets/tcp@0.2.9",
            "[method]tcp-socket.start-connect",
            "wasi:sockets/tcp tcp-socket.start-connect",
        ),
        ("wasi:cli/exit", "exit", "wasi:cli/exit exit"),
    ],
)
def test_calls_are_named_for_people(module, name, expected):
    assert call_name(module, name) == expected
