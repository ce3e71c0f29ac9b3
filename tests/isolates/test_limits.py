"""Limits: the documented defaults, and units."""

from pyworkerd_isolates.limits import Limits


def test_defaults_are_those_of_the_documentation():
    limits = Limits()
    assert (limits.cpu_ms, limits.memory_mb, limits.startup_ms) == (50, 128, 1000)
    assert (limits.output_bytes, limits.header_bytes, limits.effects, limits.pending) == (
        1 << 23,
        1 << 20,
        10_000,
        1000,
    )


def test_memory_in_bytes():
    assert Limits(memory_mb=3).memory_bytes == 3 * 1024 * 1024
