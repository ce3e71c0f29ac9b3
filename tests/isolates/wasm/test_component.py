"""The parse of components: what is found, and that damaged bytes are refused."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.binary import COMPONENT_HEADER, MODULE_HEADER
from pyworkerd_isolates.wasm.component import (
    Bundle,
    CoreAlias,
    ImportedFunction,
    Instantiation,
    Lifted,
    Lowered,
    parse_component,
)


def test_the_plan_is_found(small):
    component = parse_component(small.component)
    assert len(component.modules) == 4
    assert all(bytes(module[:8]) == MODULE_HEADER for module in component.modules)
    assert component.interfaces[:2] == ["wasi:random/random@0.2.9", "wasi:random/insecure-seed@0.2.9"]
    assert ImportedFunction("wasi:random/random@0.2.9", "get-random-bytes") in component.functions
    library = component.instances[3]
    assert isinstance(library, Instantiation)
    assert library.module == 2
    assert isinstance(component.instances[library.arguments["env"]], Bundle)
    lowered = {(x.module, x.name) for x in component.core["func"] if isinstance(x, Lowered)}
    assert ("wasi:cli/exit@0.2.9", "exit") in lowered
    assert [module for module, name in lowered if name.startswith("drop ")] == ["resource"]
    step = component.exports["step"]
    assert isinstance(step, Lifted)
    assert step.realloc is not None
    assert step.post_return is not None
    assert component.core["func"][step.function] == CoreAlias(3, "step")


def test_the_allocator_of_each_lowering_is_kept(small):
    component = parse_component(small.component)
    (random,) = [x for x in component.core["func"] if isinstance(x, Lowered) and x.name == "get-random-bytes"]
    assert random.realloc is not None
    assert component.core["func"][random.realloc] == CoreAlias(3, "realloc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(component (core module $m) (core instance (instantiate $m)) (start 0))", None),
        (
            '(component (import "f" (func $f async)) (core func (canon lower (func $f) async)))',
            "canonical option 0x6",
        ),
        ("(component (core func (canon backpressure.inc)))", "canonical definition"),
    ],
)
def test_what_is_not_supported_says_so(text, message):
    try:
        binary = bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        assert message is None
        binary = COMPONENT_HEADER + b"\x09\x01\x00"
    with pytest.raises(WasmFormatError, match=message or "section 9"):
        parse_component(binary)


def test_a_core_module_is_no_component():
    with pytest.raises(WasmFormatError, match="no component"):
        parse_component(MODULE_HEADER)


@given(st.data())
def test_damaged_components_are_parsed_or_refused(small, data):
    damaged = bytearray(small.component)
    # Core modules are only stored here; the outer level is what stands before and behind them.
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    end = data.draw(st.integers(0, len(damaged)))
    for raw in (bytes(damaged), bytes(damaged[:end])):
        try:
            component = parse_component(raw)
        except WasmFormatError:
            continue
        assert all(lifted.function < len(component.core["func"]) for lifted in component.exports.values())


@given(st.sampled_from((2, 5, 6, 8, 10, 11)), st.binary(max_size=60))
def test_any_bytes_in_any_section(number, raw):
    try:
        component = parse_component(COMPONENT_HEADER + bytes([number, len(raw)]) + raw)
    except WasmFormatError:
        return
    assert not component.exports
