"""Workers that are deployed at their first request: once, for all who wait, and again after a while if it failed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd import dormant as dormant_module
from pyworkerd.dormant import LONGEST_BACKOFF_S, Dormant, backoff
from pyworkerd.errors import ConfigurationError, InternalError, Overloaded, PyworkerdError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.counters import Meters
from pyworkerd.observe.families import OTHERS
from pyworkerd.observe.scope import Scope, begin, scope
from pyworkerd.services.base import DEFAULT, Service, Target
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUEST = Request("GET", "http://x/")


class Awoken:
    """A service that answers at once."""

    name = "w"
    external = False

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        return Response(200, (), Body(b"hello"))

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        return arguments

    async def aclose(self) -> None:
        """Nothing is held."""


class Ward:
    """Beds with one dormant worker, whose deploys end as they are told to."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.meters = Meters(labelled=1)
        self.dormant = Dormant("w", limits or Limits(), self, self.meters)
        self.lying: Service = self.dormant
        self.deploys = 0
        self.scope: Scope | None = None
        self.outcome: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def awake(self, name: str) -> Service | None:
        return self.lying

    async def deploy_dormant(self, dormant: Dormant) -> Service:
        self.deploys += 1
        self.scope = scope.get()
        await self.gate.wait()
        if self.outcome is not None:
            raise self.outcome
        self.lying = Awoken()
        return self.lying


def with_ward(check: Callable[[Ward], Awaitable[None]], limits: Limits | None = None) -> None:
    async def main() -> None:
        ward = Ward(limits)
        await check(ward)
        await ward.dormant.aclose()

    asyncio.run(main())


def test_the_first_request_deploys_and_the_others_wait_for_the_same() -> None:
    async def check(ward: Ward) -> None:
        ward.gate.clear()
        asking = [asyncio.create_task(ward.dormant.fetch(REQUEST)) for _ in range(10)]
        calling = asyncio.create_task(ward.dormant.call("m", b"arguments"))
        await asyncio.sleep(0)
        assert ward.dormant.busy
        assert "11 requests wait" in repr(ward.dormant)
        quiet = asyncio.create_task(ward.dormant.quiet())
        ward.gate.set()
        assert [(await response).status for response in asking] == [200] * 10
        assert await calling == b"arguments"
        assert ward.deploys == 1
        await quiet
        assert not ward.dormant.busy

    with_ward(check)


def test_what_is_deployed_is_not_the_work_of_the_request_that_woke_it() -> None:
    async def check(ward: Ward) -> None:
        scope.set(begin()[0])
        await ward.dormant.fetch(REQUEST)
        assert (ward.deploys, ward.scope) == (1, None)

    with_ward(check)


def test_whoever_still_holds_it_reaches_the_worker() -> None:
    async def check(ward: Ward) -> None:
        for _ in range(3):
            assert (await ward.dormant.fetch(REQUEST)).status == 200
        assert ward.deploys == 1

    with_ward(check)


def test_a_failed_deploy_is_told_to_all_and_not_tried_for_each(caplog: pytest.LogCaptureFixture) -> None:
    async def check(ward: Ward) -> None:
        ward.outcome = ConfigurationError("w.py:3: SyntaxError: no")
        for _ in range(5):
            with pytest.raises(ConfigurationError, match="SyntaxError"):
                await ward.dormant.fetch(REQUEST)
        with pytest.raises(ConfigurationError, match="SyntaxError"):
            await ward.dormant.call("m", b"")
        assert ward.deploys == 1

    with caplog.at_level(logging.ERROR):
        with_ward(check)
    [record] = caplog.records
    assert record.getMessage() == "service w does not deploy, next attempt in 1 s: w.py:3: SyntaxError: no"


def test_it_is_tried_again_after_a_while_and_may_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(ward: Ward) -> None:
        ward.outcome = ConfigurationError("no")
        for _ in range(3):
            with pytest.raises(ConfigurationError):
                await ward.dormant.fetch(REQUEST)
        assert ward.deploys == 3
        ward.outcome = None
        assert (await ward.dormant.fetch(REQUEST)).status == 200

    monkeypatch.setattr(dormant_module, "FIRST_BACKOFF_S", 0.0)
    with_ward(check)


def test_a_bug_of_the_runtime_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def check(ward: Ward) -> None:
        ward.outcome = ZeroDivisionError("bug")
        with pytest.raises(InternalError):
            await ward.dormant.fetch(REQUEST)
        with pytest.raises(PyworkerdError):
            await ward.dormant.fetch(REQUEST)
        assert ward.deploys == 1

    with_ward(check)
    assert "ZeroDivisionError" in caplog.text


def test_failures_are_counted_until_it_is_a_worker() -> None:
    async def check(ward: Ward) -> None:
        ward.outcome = ConfigurationError("no")
        with pytest.raises(ConfigurationError):
            await ward.dormant.fetch(REQUEST)
        with pytest.raises(ConfigurationError):
            await ward.dormant.call("m", b"")
        record = ward.meters.take("w")
        assert record.failures == {("5xx", "configuration"): 1}
        assert record.failed_calls == {"configuration": 1}
        ward.meters.give_back("w", record)
        assert ward.meters.take("x") is ward.meters.take("y")  # it has the only label
        ward.dormant.discharge()
        ward.meters.take("x")
        assert (ward.meters.label("x"), ward.meters.label("w")) == ("x", OTHERS)

    with_ward(check)


def test_those_who_wait_are_bounded() -> None:
    async def check(ward: Ward) -> None:
        ward.gate.clear()
        asking = [asyncio.create_task(ward.dormant.fetch(REQUEST)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="too many"):
            await ward.dormant.fetch(REQUEST)
        ward.gate.set()
        assert [(await response).status for response in asking] == [200] * 3

    with_ward(check, Limits(queue=2))


def test_nobody_waits_for_longer_than_for_an_isolate() -> None:
    async def check(ward: Ward) -> None:
        ward.gate.clear()
        with pytest.raises(Overloaded, match="takes longer"):
            await ward.dormant.fetch(REQUEST)
        ward.gate.set()
        assert (await ward.dormant.fetch(REQUEST)).status == 200
        assert ward.deploys == 1

    with_ward(check, Limits(queue_ms=1))


def test_a_caller_that_goes_away_breaks_nothing_off() -> None:
    async def check(ward: Ward) -> None:
        ward.gate.clear()
        gone, stays = (asyncio.create_task(ward.dormant.fetch(REQUEST)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        ward.gate.set()
        assert (await stays).status == 200
        with pytest.raises(asyncio.CancelledError):
            await gone

    with_ward(check)


def test_when_it_is_closed_those_who_wait_are_told() -> None:
    async def check(ward: Ward) -> None:
        ward.gate.clear()
        asking = asyncio.create_task(ward.dormant.fetch(REQUEST))
        await asyncio.sleep(0)
        await ward.dormant.aclose()
        with pytest.raises(Overloaded, match="closed"):
            await asking

    with_ward(check)


@given(st.integers(1, 10**6))
def test_the_wait_grows_up_to_a_minute(failures: int) -> None:
    assert 1 <= backoff(failures) <= backoff(failures + 1) <= LONGEST_BACKOFF_S
    assert backoff(100) == LONGEST_BACKOFF_S
    assert [backoff(n) for n in (1, 2, 3)] == [1, 2, 4]
