"""The error is a ValueError, so that callers need not know the package to catch bad input."""

from pyworkerd_isolates.wasm import WasmFormatError


def test_it_is_a_value_error():
    assert issubclass(WasmFormatError, ValueError)
