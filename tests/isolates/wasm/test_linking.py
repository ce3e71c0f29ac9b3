"""Following imports to definitions, through bundles of items and through shim and fixup."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.component import Lowered, parse_component
from pyworkerd_isolates.wasm.linking import Definition, Linkage


def linkage(text):
    return Linkage(parse_component(bytes(wasmtime.wat2wasm(text))))


def test_shim_and_fixup_are_seen_through(small):
    found = Linkage(parse_component(small.component))
    assert list(found.parts) == [found.state, 3]
    library = found.parts[3]
    names = [x.name for x in library.functions if isinstance(x, Lowered)]
    assert names[:4] == ["get-random-bytes", "get-random-u64", "insecure-seed", "exit"]
    assert library.globals == [Definition(found.state, 0), Definition(found.state, 1), Definition(3, 2)]
    ((name, step),) = found.exports()
    assert name == "step"
    assert found.core_function(step.function).instance == 3
    assert found.type_of(found.core_function(step.function)).params == b"\x7f\x7f"


def test_a_lowered_function_is_not_defined_anywhere(small):
    component = parse_component(small.component)
    place = next(i for i, x in enumerate(component.core["func"]) if isinstance(x, Lowered))
    with pytest.raises(WasmFormatError, match="is an import"):
        Linkage(component).core_function(place)


def state(label):
    return f"""
      (core module ${label} (memory (export "m") 1) (table (export "t") 1 funcref))
      (core instance ${label} (instantiate ${label}))"""


def user(content):
    return f"""
      (core module $user (import "e" "m" (memory 1)) {content})
      (core instance (instantiate $user (with "e" (instance $s))))"""


TWO_MEMORIES = "(core module $s (memory 1) (memory 1) (table 1 funcref)) (core instance (instantiate $s))"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "defined once"),
        (state("s") + state("x"), "defined once"),
        (state("s") + user("(func $f) (start $f)"), "start function"),
        (state("s") + user('(data (i32.const 0) "x")'), "data of its own"),
        (TWO_MEMORIES, "two memories"),
    ],
)
def test_components_that_cannot_be_merged(content, message):
    with pytest.raises(WasmFormatError, match=message):
        linkage(f"(component {content})")


def test_shim_and_fixup_that_call_each_other(small_text):
    old = '(export "0" (func $lowered))'
    assert old in small_text
    with pytest.raises(WasmFormatError, match="circle"):
        linkage(small_text.replace(old, '(export "0" (func $shim "0"))'))


def test_a_library_on_the_table_of_the_shim(small_text):
    old = '(export "table" (table $state "table"))'
    assert old in small_text
    text = small_text.replace(old, '(export "table" (table $shim "$imports"))')
    text = text.replace(
        '(import "env" "table" (table 4 funcref))', '(import "env" "table" (table 1 funcref))'
    )
    with pytest.raises(WasmFormatError, match="another table"):
        linkage(text)


@given(st.data())
def test_damaged_components_are_linked_or_refused(small, data):
    damaged = bytearray(small.component)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Linkage(parse_component(bytes(damaged)))
    except WasmFormatError:
        return
    assert found.state in found.parts
