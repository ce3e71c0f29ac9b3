"""Images: the round trip, what is left out, and damaged bytes."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError, image_of, memory_of
from pyworkerd_isolates.wasm.binary import WASM_PAGE
from pyworkerd_isolates.wasm.core import parse_module

GRAIN = 4096
PATCHES = st.lists(
    st.tuples(st.integers(0, 5 * WASM_PAGE - 64), st.binary(min_size=1, max_size=64)), max_size=12
)


def patched(pages, patches):
    memory = bytearray(pages * WASM_PAGE)
    for at, content in patches:
        start = min(at, len(memory) - len(content))
        memory[start : start + len(content)] = content
    return memory


@given(st.integers(1, 5), PATCHES, st.sampled_from((bytes, bytearray, memoryview)))
def test_round_trip(pages, patches, wrap):
    memory = patched(pages, patches)
    image = image_of(wrap(memory))
    assert memory_of(image) == memory
    used = [at // GRAIN for at in range(0, len(memory), GRAIN) if any(memory[at : at + GRAIN])]
    half = (used[-1] + 1 - used[0]) // 2 + 2 if used else 0
    assert len(image) < 64 + max(len(used), half) * (GRAIN + 16)


@given(PATCHES)
def test_an_image_is_what_wasmtime_makes_of_it(patches):
    memory = patched(5, patches)
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, image_of(memory, maximum_pages=7))
    assert not module.imports
    assert [(x.name, x.type.limits.min, x.type.limits.max) for x in module.exports] == [("memory", 5, 7)]
    exported = wasmtime.Instance(store, module, []).exports(store)["memory"]
    assert bytes(exported.read(store)) == memory


@given(st.sets(st.integers(0, 79), min_size=1))
def test_more_than_half_of_what_is_spanned_is_data_so_that_wasmtime_maps_it(grains):
    memory = bytearray(5 * WASM_PAGE)
    for grain in grains:
        memory[grain * GRAIN] = 1
    image = image_of(memory)
    assert memory_of(image) == memory
    span = (max(grains) + 1 - min(grains)) * GRAIN
    assert 2 * len(image) > span
    assert len(image) < max(len(grains) * (GRAIN + 16), span // 2 + 80 * 16) + 2 * GRAIN


def test_an_empty_memory():
    image = image_of(b"")
    assert memory_of(image) == b""
    assert parse_module(image).data_segments == 0


def test_runs_that_cross_the_chunks_looked_at_stay_whole():
    memory = bytearray(12 * WASM_PAGE)
    memory[3 * WASM_PAGE : 9 * WASM_PAGE] = b"x" * (6 * WASM_PAGE)
    image = image_of(memory)
    assert parse_module(image).data_segments == 1
    assert memory_of(image) == memory


@pytest.mark.parametrize(
    ("size", "maximum"), [(1, None), (WASM_PAGE + 1, None), (2 * WASM_PAGE, 1), (0, 65537)]
)
def test_sizes_that_cannot_be(size, maximum):
    with pytest.raises(ValueError, match="pages"):
        image_of(bytes(size), maximum)


@pytest.mark.parametrize(
    "text",
    [
        "(module)",
        '(module (memory 1) (data "passive"))',
        '(module (import "a" "b" (memory 1)) (data (i32.const 0) "x"))',
        '(module (memory 1) (data (i32.const 65535) "xy"))',
        '(module (memory 1) (data (i32.const -1) "x"))',
        '(module (import "a" "b" (global i32)) (memory 1) (data (global.get 0) "x"))',
        "(module (memory 16385))",
    ],
)
def test_modules_that_are_no_images(text):
    with pytest.raises(WasmFormatError):
        memory_of(bytes(wasmtime.wat2wasm(text)))


@given(st.data())
def test_damaged_images_are_read_or_refused(data):
    image = bytearray(image_of(b"\x01" + bytes(2 * WASM_PAGE - 2) + b"\x02"))
    for _ in range(data.draw(st.integers(1, 3))):
        image[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(image)))
    for raw in (bytes(image), bytes(image[:end])):
        try:
            memory = memory_of(raw, maximum_bytes=1 << 24)
        except WasmFormatError:
            continue
        assert len(memory) % WASM_PAGE == 0
