"""Budgets say which limit it was."""

from __future__ import annotations

from pyworkerd.dispatch.budget import Budget


def test_what_is_told_names_the_limit_in_the_configuration() -> None:
    request, background = Budget(50, 300_000), Budget(30_000, 900_000, "limits.background_")
    assert str(request.too_much_cpu()) == "the worker used more than 50 ms of CPU time (limits.cpu_ms)"
    assert str(request.too_much_time()) == "the invocation took longer than 300000 ms (limits.wall_ms)"
    assert str(background.too_much_cpu()) == (
        "the worker used more than 30000 ms of CPU time (limits.background_cpu_ms)"
    )
    assert str(background.too_much_time()) == (
        "the invocation took longer than 900000 ms (limits.background_wall_ms)"
    )
