"""Rate limits on what comes in: what can be written, and what cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Place, RateLimit, check, parse_toml
from pyworkerd_config.checks.rate_limits import MAX_RATE_LIMITS


def problems(limits: str) -> list[str]:
    text = f'[[services]]\nname = "shop"\nrate_limits = [\n{limits}\n]\n'
    return [str(found) for found in check(parse_toml(text, Place(Path("c.toml"))))]


def test_what_is_written() -> None:
    text = (
        '[[services]]\nname = "shop"\n[[services.rate_limits]]\nlimit = 5\nperiod = 1\n[[services.rate_limits]]\n'
        'limit = 9\nperiod = 60\nroute = "a.example/*"\nkey = "header:X-Key"\n'
    )
    shop = parse_toml(text, Place()).services[0]
    assert shop.rate_limits == (RateLimit(5, 1), RateLimit(9, 60, "a.example/*", "header:X-Key"))
    assert RateLimit(5, 1) == RateLimit(5, 1, "/*", "client")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("{ limit = 5, period = 1, route = 'api' }", 'malformed route "api"'),
        ("{ limit = 5, period = 1, key = 'ip' }", '"ip" is nothing that requests are counted by'),
        ("{ limit = 5, period = 1, key = 'header:' }", '"header:" is nothing'),
        ("{ limit = 5, period = 1, key = 'header:a b' }", '"header:a b" is nothing'),
        ("{ limit = 0, period = 1 }", '"limit" must be from 1 to 1000000000, found 0'),
        ("{ limit = 5, period = 86401 }", '"period" must be from 1 to 86400, found 86401'),
        (
            "{ limit = 5, period = 1, route = '/a/*' },\n{ limit = 6, period = 1, route = '*/a/*' }",
            "two rate limits of one service count the same requests",
        ),
        (
            "\n".join(f"{{ limit = 5, period = {i + 1} }}," for i in range(MAX_RATE_LIMITS + 1)),
            f"a service has {MAX_RATE_LIMITS} rate limits at most, found {MAX_RATE_LIMITS + 1}",
        ),
    ],
)
def test_what_cannot_work(limits: str, said: str) -> None:
    (problem,) = problems(limits)
    assert said in problem
    assert problem.startswith("c.toml:")


def test_what_differs_counts_by_itself() -> None:
    assert (
        problems(
            "{ limit = 5, period = 1 }, { limit = 50, period = 60 }, { limit = 5, period = 1, key = 'everyone' }"
        )
        == []
    )
