"""Where the keys of a prefix end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.kv.store import end_of


@given(st.binary(max_size=3), st.binary(max_size=5))
def test_the_end_of_a_prefix(prefix: bytes, key: bytes) -> None:
    end = end_of(prefix)
    assert (prefix <= key and (end is None or key < end)) == key.startswith(prefix)
