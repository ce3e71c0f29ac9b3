"""Inputs for a target without coverage to guide it: its seeds, joined, cut and with words put in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.fuzz.targets import Target


@st.composite
def inputs(draw: st.DrawFn, target: Target) -> bytes:
    """Some seeds with a few octets replaced, inserted or removed, behind a prefix of any octets."""
    seeds = target.seeds()
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        place, width = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
        data[place : place + width] = draw(st.one_of(st.binary(max_size=3), st.sampled_from(target.words)))
    head = draw(st.binary(max_size=12))
    return bytes([len(head)]) + head + bytes(data) if head else bytes(data)
