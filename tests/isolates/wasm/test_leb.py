"""LEB128: round trips, and the bounds of core specification 2.0 section 5.2.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.leb import decode_signed, decode_unsigned, encode_signed, encode_unsigned

BITS = st.sampled_from((32, 33, 64))


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_unsigned_round_trip(value, rest):
    raw = encode_unsigned(value)
    assert decode_unsigned(raw + rest, 0, 64) == (value, len(raw))


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_signed_round_trip(value, rest):
    raw = encode_signed(value)
    assert decode_signed(raw + rest, 0, 64) == (value, len(raw))


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_encodings_are_the_shortest(unsigned, signed):
    assert len(encode_unsigned(unsigned)) == max(1, -(-unsigned.bit_length() // 7))
    magnitude = signed if signed >= 0 else ~signed
    assert len(encode_signed(signed)) == magnitude.bit_length() // 7 + 1


@given(st.binary(max_size=12), BITS)
def test_any_bytes_decode_or_raise(raw, bits):
    for decode, low, high in (
        (decode_unsigned, 0, 2**bits),
        (decode_signed, -(2 ** (bits - 1)), 2 ** (bits - 1)),
    ):
        try:
            value, at = decode(raw, 0, bits)
        except WasmFormatError:
            continue
        assert low <= value < high
        assert at <= min(len(raw), (bits + 6) // 7)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("e58e26", 624485), ("8000", 0), ("8080808000", 0), ("ffffffff0f", 2**32 - 1)],
)
def test_known_unsigned(raw, value):
    assert decode_unsigned(bytes.fromhex(raw), 0)[0] == value


@pytest.mark.parametrize(("raw", "value"), [("c0bb78", -123456), ("7f", -1), ("ffffffff7f", -1), ("3f", 63)])
def test_known_signed(raw, value):
    assert decode_signed(bytes.fromhex(raw), 0)[0] == value


@pytest.mark.parametrize("raw", ["", "80", "808080808000", "ffffffff1f"])
def test_unsigned_out_of_bounds(raw):
    with pytest.raises(WasmFormatError):
        decode_unsigned(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("raw", ["", "ff", "ffffffffff7f", "ffffffff0f"])
def test_signed_out_of_bounds(raw):
    with pytest.raises(WasmFormatError):
        decode_signed(bytes.fromhex(raw), 0)


def test_a_negative_number_has_no_unsigned_encoding():
    with pytest.raises(ValueError, match="negative"):
        encode_unsigned(-1)
