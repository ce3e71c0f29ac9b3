from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_bench import soak
from pyworkerd_bench.soak import BOUND, Reading, judge

MIB = 1024 * 1024


def line(slope: float, *, points: int = 41, every: int = 500, base: int = 50 * MIB) -> list[Reading]:
    return [Reading(n * every, base + round(slope * n * every)) for n in range(points)]


@given(st.integers(-1000, 1000), st.integers(5, 60), st.integers(1, 500))
def test_a_straight_line_is_found_again(slope: int, points: int, every: int) -> None:
    verdict = judge(line(slope, points=points, every=every))
    assert verdict.slope == pytest.approx(slope, abs=0.01)
    assert verdict.flat == (verdict.growth <= BOUND)


def test_an_isolate_that_is_forgotten_now_and_then_is_not_flat() -> None:
    one_in_a_thousand = 200_000 / 1000
    assert not judge(line(one_in_a_thousand)).flat


def test_what_allocators_take_at_the_beginning_is_left_out() -> None:
    readings = [Reading(one.requests, one.own - 5 * MIB * (one.requests < 1000)) for one in line(0)]
    assert judge(readings).slope == pytest.approx(0)


@pytest.mark.parametrize("readings", [[], line(1, points=1), line(1, points=2)])
def test_too_few_readings_make_no_line(readings: list[Reading]) -> None:
    with pytest.raises(ValueError, match="three readings"):
        judge(readings)


@pytest.mark.usefixtures("sandbox")
def test_three_hundred_requests_to_a_real_server(capsys: pytest.CaptureFixture[str]) -> None:
    status = soak.main(["--requests", "300", "--every", "30", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert [one["requests"] for one in document["readings"]] == list(range(0, 301, 30))
    assert all(one["own"] > MIB for one in document["readings"])
    assert (document["flat"], status) in {(True, 0), (False, 1)}
    forgotten_isolate = 100 * 1024
    assert document["slope"] < forgotten_isolate


def test_the_verdict_names_bound_and_slope() -> None:
    assert soak.as_text(judge(line(1000))).startswith("NOT flat: +1000.0 bytes per request")
    assert "flat: +0.0 bytes" in soak.as_text(judge(line(0)))


def test_too_few_requests_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(["--requests", "10", "--every", "10"])
    assert caught.value.code == 2
    assert "at least four times" in capsys.readouterr().err
