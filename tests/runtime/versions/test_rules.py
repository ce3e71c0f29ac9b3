"""What may become of a service's versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.versions.model import CONFIGURED, Record, Secrets, Share, Version
from pyworkerd.versions.rules import (
    KEPT_DEPLOYMENTS,
    KEPT_VERSIONS,
    RuleError,
    deployed,
    promoted,
    rolled_back,
    rolled_out,
    with_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = ("a" * 16, "b" * 16, "c" * 16)


def version(id_: str, message: str = "") -> Version:
    return Version(id_, 1.0, "ci", message, "w.py", {}, 1, 10)


def record(*live: tuple[str, float], known: tuple[str, ...] = (A, B, C)) -> Record:
    empty = Record("shop")
    for each in known:
        empty = with_version(empty, version(each))
    return deployed(empty, [Share(*each) for each in live], "ci", "", 1.0) if live else empty


def shares(found: Record) -> list[tuple[str, float]]:
    return [(share.version, share.percent) for share in found.live]


def test_nothing_was_deployed() -> None:
    assert shares(Record("shop")) == [(CONFIGURED, 100.0)]


def test_a_version_stays_what_it_was() -> None:
    once = with_version(Record("shop"), version(A, "first"))
    assert with_version(once, version(A, "again")) is once


@pytest.mark.parametrize(
    ("before", "percent", "expected"),
    [
        ([], 100, [(B, 100)]),
        ([], 10, [(CONFIGURED, 90), (B, 10)]),
        ([(A, 100)], 10, [(A, 90), (B, 10)]),
        ([(A, 100)], 0, [(A, 100)]),
        ([(A, 90), (B, 10)], 30, [(A, 70), (B, 30)]),
        ([(A, 90), (B, 10)], 100, [(B, 100)]),
        ([(A, 90), (C, 10)], 20, [(A, 80), (B, 20)]),
    ],
)
def test_a_rollout(
    before: list[tuple[str, float]], percent: float, expected: list[tuple[str, float]]
) -> None:
    assert shares(rolled_out(record(*before), B, percent, "ci", "", 2.0)) == expected


def test_a_rollback_goes_to_what_answered_alone() -> None:
    found = record((A, 100))
    found = rolled_out(found, B, 100, "ci", "", 2.0)
    found = rolled_out(found, C, 10, "ci", "", 3.0)
    found = rolled_back(found, None, "ci", "", 4.0)
    assert shares(found) == [(B, 100)]  # the rollout is taken back
    found = rolled_back(found, None, "anna", "worse", 5.0)
    assert shares(found) == [(A, 100)]
    assert (found.deployments[-1].by, found.deployments[-1].message) == ("anna", "worse")
    assert shares(rolled_back(found, CONFIGURED, "ci", "", 6.0)) == [(CONFIGURED, 100)]
    assert shares(rolled_back(record((A, 100)), None, "ci", "", 2.0)) == [(CONFIGURED, 100)]


def test_a_rollout_is_ended() -> None:
    assert shares(promoted(record((A, 90), (B, 10)), "ci", "", 2.0)) == [(B, 100)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: deployed(r, [], "ci", "", 1.0), "name one or two"),
        (lambda r: deployed(r, [Share(A, 0)], "ci", "", 1.0), "name one or two"),
        (lambda r: deployed(r, [Share(A, 30), Share(B, 30), Share(C, 40)], "ci", "", 1.0), "name one or two"),
        (lambda r: deployed(r, [Share(A, 50), Share(A, 50)], "ci", "", 1.0), "named twice"),
        (lambda r: deployed(r, [Share(A, 50)], "ci", "", 1.0), "not 100 %"),
        (lambda r: deployed(r, [Share("d" * 16, 100)], "ci", "", 1.0), "there is no version d"),
        (lambda r: rolled_out(deployed(r, [Share(A, 100)], "", "", 1.0), A, 50, "", "", 1.0), "answers now"),
        (lambda r: rolled_back(r, None, "ci", "", 1.0), "nothing was deployed"),
        (lambda r: promoted(r, "ci", "", 1.0), "nothing to promote"),
    ],
)
def test_what_cannot_be(change: Callable[[Record], Record], told: str) -> None:
    with pytest.raises(RuleError, match=told):
        change(record())


IDS = st.integers(0, 40).map(lambda number: f"{number:016x}")


@given(st.lists(st.tuples(IDS, st.sampled_from([0, 10, 50, 100])), max_size=60))
def test_bounded_whatever_is_deployed_and_what_answers_is_never_forgotten(
    steps: list[tuple[str, float]],
) -> None:
    found = Record("shop")
    for id_, percent in steps:
        try:
            found = rolled_out(with_version(found, version(id_)), id_, percent, "ci", "", 1.0)
        except RuleError:
            continue
        known = [each.id for each in found.versions]
        assert len(known) == len(set(known)) <= KEPT_VERSIONS
        assert len(found.deployments) <= KEPT_DEPLOYMENTS
        assert {share.version for share in found.live} <= {*known, CONFIGURED}
        assert id_ in known
        assert sum(share.percent for share in found.live) == 100


def test_secrets_are_in_no_repr() -> None:
    assert repr(Secrets("shop", {"TOKEN": "hunter2"})) == "<Secrets of 'shop': TOKEN>"
