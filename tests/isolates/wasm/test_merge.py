"""The merge: of a small component under damage, and of a real one with CPython in it."""

import hashlib
import struct

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError, image_of, memory_of
from pyworkerd_isolates.wasm.binary import MODULE_HEADER, name, section, sections, vector
from pyworkerd_isolates.wasm.core import I32, I64, KINDS, parse_module
from pyworkerd_isolates.wasm.leb import encode_unsigned
from pyworkerd_isolates.wasm.merge import merge

STANDARD = {"memory", "now_ns", "seed", "refused", "refused_call", "reset", "at_rest"}


def exports_of(binary):
    return {x.name for x in wasmtime.Module(wasmtime.Engine(), binary).exports}


def with_globals_exported(engine):
    """The engine with every integer global of the guest that can change exported as `global:<index>`."""
    module = parse_module(engine)
    first_of_system = module.exports["now_ns"][1]
    watched = [
        i for i, g in enumerate(module.globals[:first_of_system]) if g.mutable and g.value_type in (I32, I64)
    ]
    entries = [
        name(key) + bytes((KINDS.index(kind),)) + encode_unsigned(index)
        for key, (kind, index) in module.exports.items()
    ]
    entries += [name(f"global:{i}") + b"\x03" + encode_unsigned(i) for i in watched]
    replaced = {7: vector(entries)}
    parts = (section(number, replaced.get(number, content)) for number, content in sections(engine))
    return MODULE_HEADER + b"".join(parts), watched


def global_values(isolate, watched):
    return {i: isolate.exports[f"global:{i}"].value(isolate.store) for i in watched}


def test_a_small_component_runs(small):
    isolate = small.start()
    assert isolate.call("step", b"=hello") == b"=hello"
    assert isolate.call("step", b"x") == b"at rest"


def test_the_engine_imports_only_its_memory(small):
    imports = wasmtime.Module(small.engine, small.merged.engine).imports
    assert [(x.module, x.name, type(x.type)) for x in imports] == [("image", "memory", wasmtime.MemoryType)]
    assert exports_of(small.merged.engine) == STANDARD | {"step_at", "prepare_step"}


def test_functions_that_are_called_often_are_named_first(small_text):
    component = bytes(wasmtime.wat2wasm(small_text))
    plain = merge(component, wasmtime.wat2wasm)
    in_table = [number for element in parse_module(plain.engine).elements for number in element.functions]
    often = [10**6, *reversed(in_table)]
    arranged = merge(component, wasmtime.wat2wasm, often)
    declared = dict(sections(arranged.engine)).get(9)
    known = [encode_unsigned(number) for number in often[1:]]
    assert bytes(declared).startswith(encode_unsigned(2) + b"\x03\0" + vector(known))
    assert parse_module(arranged.engine).elements == parse_module(plain.engine).elements
    assert arranged.image == plain.image


def test_the_image_is_the_memory_of_the_component(small):
    memory = memory_of(small.merged.image)
    assert len(memory) == 2 * 65536
    assert memory.strip(b"\0") == b"at rest"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('(post-return (core func $library "post"))', "", "not of the form"),
        (
            '(func $step (param "events" (list u8)) (result (list u8))',
            '(func $step (param "events" (list u8)) (param "more" u32) (result (list u8))',
            None,
        ),
        ('(export "step" (func $step))', "", "exports no function"),
    ],
)
def test_exports_of_another_shape(small_text, old, new, message):
    assert old in small_text
    text = small_text.replace(old, new)
    if message is None:
        text = text.replace(
            '(func (export "step") (param i32 i32) (result i32)',
            '(func (export "step") (param i32 i32 i32) (result i32)',
        )
        message = "export 'step' does not have the type"
    with pytest.raises(WasmFormatError, match=message):
        merge(bytes(wasmtime.wat2wasm(text)), wasmtime.wat2wasm)


@settings(max_examples=300)
@given(st.data())
def test_damaged_components_are_merged_or_refused(small, data):
    damaged = bytearray(small.component)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        merged = merge(bytes(damaged), wasmtime.wat2wasm)
    except WasmFormatError:
        return
    imports = parse_module(merged.engine).imports
    assert [(x.module, x.name) for x in imports] == [("image", "memory")]


def test_the_real_engine_imports_only_its_memory(real):
    imports = [(x.module, x.name) for x in wasmtime.Module(real.engine, real.merged.image).imports]
    assert imports == []
    assert [(x.module, x.name) for x in real.code.imports] == [("image", "memory")]
    calls = {"prepare_load", "prepare_step", "load_at", "step_at"}
    assert {x.name for x in real.code.exports} == STANDARD | calls


def test_the_same_component_gives_the_same_bytes(real):
    assert merge(real.component, wasmtime.wat2wasm) == real.merged


def started(real, key, source):
    isolate = real.start()
    isolate.seed(*key)
    assert isolate.call("load", source) == b"loaded"
    return isolate


def test_python_runs_from_a_snapshot(real, key):
    first = started(real, key, b"ITEMS = list(range(1000))\ndef step(e): return e + b'%d' % sum(ITEMS)")
    assert first.call("step", b"n=") == b"n=499500"
    first.rest()
    image = image_of(first.all_memory())
    second = real.start(image)
    assert second.call("step", b"m=") == b"m=499500"
    assert second.call("step", b"") == b"499500"


LARGE = 100_000
STEPS = 300
"""Times `LARGE` this is 30 MB: far more than the few megabytes that the heap of a fresh image has to spare."""


def growth(real, key, source, data):
    isolate = started(real, key, source)
    before = len(isolate.all_memory())
    for _ in range(STEPS):
        isolate.call("step", data)
        isolate.rest()
    return len(isolate.all_memory()) - before


def test_arguments_are_given_back(real, key):
    assert growth(real, key, b"def step(e): return b''", b"x" * LARGE) < STEPS * LARGE / 10


def test_answers_are_given_back(real, key):
    assert (
        growth(real, key, b"ANSWER = bytes(%d)\ndef step(e): return ANSWER" % LARGE, b"") < STEPS * LARGE / 10
    )


def test_python_reads_the_given_clock(real, key):
    isolate = started(
        real, key, b"import time\ndef step(e): return b'%d %d' % (time.time_ns(), time.monotonic_ns())"
    )
    for now in (1_764_000_000_123_456_789, 5):
        assert isolate.call("step", b"", now) == b"%d %d" % (now, now)


def test_entropy_in_python(real, key):
    source = b"import os\ndef step(e): return os.urandom(48)"
    isolates = [started(real, k, source) for k in (key, key, (1, 2, 3, 4))]
    one, same, other = [isolate.call("step", b"") for isolate in isolates]
    assert one == same
    assert len({one, other, isolates[0].call("step", b"")}) == 3


def test_the_first_call_of_a_component_needs_a_key(real):
    """componentize-py seeds `random` in it. An image that is written down after it does without."""
    isolate = real.start()
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        isolate.call("load", b"")
    assert isolate.refusal() == (1, "wasi:random/random get-random-bytes")


def test_no_key_no_entropy_in_python(real, warm):
    isolate = real.start(warm)
    assert isolate.call("load", b"import os\ndef step(e): return os.urandom(1)") == b"loaded"
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        isolate.call("step", b"")
    assert isolate.refusal() == (1, "wasi:random/random get-random-bytes")


def test_keys_are_never_in_linear_memory(real, warm, chacha20_block):
    key = hashlib.sha256(b"a key with no pattern").digest()
    isolate = real.start(warm)
    isolate.call("load", b"import os\ndef step(e): return os.urandom(32)")
    given_out, keys = [], [key]
    for counter in range(4):
        whole = chacha20_block(keys[-1], counter, bytes(12))
        keys.append(whole[:32])
        given_out.append(whole[32:])
    words = [k[at : at + 8] for k in keys for at in range(0, 32, 8)]
    before = isolate.all_memory()
    assert not [word for word in words if word in before], "a find below would mean nothing"
    isolate.seed(*struct.unpack("<4q", key))
    assert [isolate.call("step", b"") for _ in given_out] == given_out
    memory = isolate.all_memory()
    assert given_out[-1] in memory
    assert not [word for word in words if word in memory]


REACHES = {
    "print(1)": "wasi:cli/stdout get-stdout",
    "__import__('sys').stdin.read()": "wasi:cli/stdin get-stdin",
    "__import__('os').write(2, b'x')": "wasi:cli/stderr get-stderr",
    "__import__('time').sleep(0)": "wasi:clocks/monotonic-clock subscribe-instant",
    "__import__('os')._exit(0)": "wasi:cli/exit exit",
}


@pytest.mark.parametrize("expression", REACHES)
def test_reaching_for_the_system_is_refused_by_name(real, key, expression):
    isolate = started(real, key, f"def step(e): return repr({expression}).encode()".encode())
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        isolate.call("step", b"")
    assert isolate.refusal() == (2, REACHES[expression])


ANSWERED = {
    "os.stat('/x')": "FileNotFoundError",
    "os.listdir('/')": "FileNotFoundError",
    "open('/x', 'w')": "FileNotFoundError",
    "os.isatty(1)": "False",
    "dict(os.environ)": "{}",
    "os.getcwd()": "'/'",
    "__import__('_socket').socket()": "PermissionError",
    "__import__('_thread').start_new_thread(print, ())": "RuntimeError",
}


@pytest.mark.parametrize("expression", ANSWERED)
def test_what_is_answered_instead(real, key, expression):
    source = f"""
import os
def step(e):
    try:
        return repr({expression}).encode()
    except Exception as error:
        return repr(error).encode()
"""
    assert started(real, key, source.encode()).call("step", b"").decode().startswith(ANSWERED[expression])


@pytest.fixture(scope="session")
def watched_engine(real):
    engine, watched = with_globals_exported(real.merged.engine)
    return wasmtime.Module(real.engine, engine), watched


BUSY = b"""
import os, time, re
def recurse(): recurse()
def step(e):
    for reach in (recurse, lambda: os.stat("/x"), lambda: 1 / 0, lambda: os.getcwd(), lambda: bytes(1 << 22)):
        try:
            reach()
        except Exception:
            pass
    return repr((os.urandom(8), time.time(), re.sub("a", "b", "abc"), dict(os.environ))).encode()
"""


def test_globals_are_back_at_rest_after_every_call(real, running, key, watched_engine):
    """The memory alone is a snapshot only if no global of the guest keeps what a call did to it."""
    code, watched = watched_engine
    isolate = running(real.engine, code, real.merged)
    isolate.seed(*key)
    rest = global_values(isolate, watched)
    assert len(rest) > 1
    assert any(value > 65536 for value in rest.values()), "the stack pointer is among them"
    isolate.call("load", BUSY)
    assert global_values(isolate, watched) != rest, "the answer is on the stack until post-return"
    isolate.rest()
    assert global_values(isolate, watched) == rest
    for _ in range(3):
        isolate.call("step", b"x" * 1000)
        isolate.rest()
        assert global_values(isolate, watched) == rest


def test_reset_gives_every_global_its_first_value(real, running, key, watched_engine):
    code, watched = watched_engine
    isolate = running(real.engine, code, real.merged)
    first = global_values(isolate, watched)
    isolate.seed(*key)
    isolate.call("load", BUSY)
    assert global_values(isolate, watched) != first
    isolate.exports["reset"](isolate.store)
    assert global_values(isolate, watched) == first


def test_a_reset_isolate_has_no_key(small, key):
    isolate = small.start()
    isolate.seed(*key)
    assert len(isolate.call("step", b"r\x08")) == 8
    isolate.exports["reset"](isolate.store)
    with pytest.raises(wasmtime.Trap):
        isolate.call("step", b"r\x08")
    assert isolate.refusal() == (1, "wasi:random/random get-random-bytes")


def test_globals_that_are_not_at_rest_would_be_seen(small, running):
    """The negative control: the small component counts its calls in a global."""
    engine, watched = with_globals_exported(small.merged.engine)
    isolate = running(small.engine, wasmtime.Module(small.engine, engine), small.merged)
    rest = global_values(isolate, watched)
    assert isolate.exports["at_rest"](isolate.store) == 1
    isolate.call("step", b"=")
    isolate.rest()
    assert global_values(isolate, watched) != rest
    assert isolate.exports["at_rest"](isolate.store) == 0


def test_an_engine_says_whether_it_is_at_rest(real, running, key, watched_engine):
    """Its key, its clock and its refusals are the host's to set, and do not count."""
    code, _ = watched_engine
    isolate = running(real.engine, code, real.merged)
    assert isolate.exports["at_rest"](isolate.store) == 1
    isolate.seed(*key)
    isolate.call("load", BUSY)
    assert isolate.exports["at_rest"](isolate.store) == 0, "the answer is on the stack until post-return"
    isolate.rest()
    assert isolate.exports["at_rest"](isolate.store) == 1
    isolate.call("step", b"x" * 1000)
    isolate.rest()
    assert isolate.exports["at_rest"](isolate.store) == 1
