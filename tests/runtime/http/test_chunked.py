from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.http.chunked import ChunkedReader
from pyworkerd.http.limits import HttpLimits

LIMITS = HttpLimits()


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    st.sampled_from([b"", b";a", b';a="b c"']),
    st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC:\r\n"]),
    st.binary(max_size=10),
    st.integers(1, 7),
)
def test_what_was_written_is_read_and_what_follows_is_kept(
    chunks: list[bytes], extension: bytes, trailers: bytes, after: bytes, width: int
) -> None:
    body = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    data = body + b"0" + extension + b"\r\n" + trailers + b"\r\n"
    reader, out = ChunkedReader(LIMITS), list[bytes]()
    for place in range(0, len(data), width):
        assert not reader.done
        piece = data[place : place + width]
        reader.receive(piece + after if place + width >= len(data) else piece, out)
    assert reader.done
    assert b"".join(out) == b"".join(chunks)
    assert reader.rest == after
