"""Rate limits on what comes in, in the table of a Wrangler file that is ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Config, ConfigError, Place, RateLimit, check, parse_toml, to_toml
from pyworkerd_config.wrangler.reader import parse_wrangler

OTHERS = """
[[services]]
name = "auth"
route = "/auth/*"
[[services]]
name = "catalog"
route = "/catalog/*"
"""
LIMITS = """
[[pyworkerd.rate_limits]]
service = "catalog"
route = "/catalog/items"
limit = 20
period = 10
[[pyworkerd.rate_limits]]
service = "catalog"
limit = 1000
period = 60
key = "everyone"
"""


def read(text: str, environment: str | None = None) -> Config:
    return parse_wrangler(text, Place(Path("wrangler.toml")), environment=environment)


def limits(config: Config) -> dict[str, tuple[RateLimit, ...]]:
    return {service.name: service.rate_limits for service in config.services if service.rate_limits}


def test_a_limit_belongs_to_the_worker_that_it_names() -> None:
    config = read(f'name = "front"\nmain = "front.ts"\n{OTHERS}{LIMITS}')
    assert limits(config) == {
        "catalog": (RateLimit(20, 10, "/catalog/items"), RateLimit(1000, 60, key="everyone"))
    }
    assert (config.warnings, check(config)) == ((), [])
    assert parse_toml(to_toml(config), Place(Path("wrangler.toml"))) == config


@pytest.mark.parametrize("text", ['main = "front.ts"\n', f'main = "front.ts"\n{OTHERS}'])
def test_without_a_name_it_is_that_of_the_file_s_own_worker(text: str) -> None:
    (found,) = limits(
        read(f'name = "front"\n{text}[pyworkerd]\nrate_limits = [{{ limit = 5, period = 1 }}]\n')
    ).items()
    assert found == ("front", (RateLimit(5, 1),))


def test_environments_have_it_too_unless_they_have_their_own() -> None:
    own = 'name = "front"\nmain = "f.ts"\npyworkerd = { rate_limits = [{ limit = 5, period = 1 }] }\n'
    text = f"{own}[env.a]\n[env.b.pyworkerd]\n"
    assert limits(read(text, "a")) == {"front-a": (RateLimit(5, 1),)}
    assert limits(read(text, "b")) == {}


def test_the_file_s_own_worker_may_be_called_as_it_is_in_no_environment() -> None:
    text = f'name = "catalog"\nmain = "f.ts"\n{LIMITS}[env.a]\n[env.b]\nname = "shop"\n'
    for environment, name in ((None, "catalog"), ("a", "catalog-a"), ("b", "shop")):
        (found,) = limits(read(text, environment)).items()
        assert found == (name, (RateLimit(20, 10, "/catalog/items"), RateLimit(1000, 60, key="everyone")))
    with pytest.raises(ConfigError, match='unknown service "catalog"'):
        read(f'name = "catalog"\n[[services]]\nname = "auth"\n{LIMITS}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{OTHERS}[[pyworkerd.rate_limits]]\nlimit = 5\nperiod = 1\n", 'a rate limit needs "service"'),
        (
            f'{OTHERS}[[pyworkerd.rate_limits]]\nservice = "catalogue"\nlimit = 5\nperiod = 1\n',
            'unknown service "catalogue": did you mean "catalog"?',
        ),
        ('main = "f.ts"\n[[pyworkerd.rate_limits]]\nlimit = 5\n', 'a rate limit needs "period"'),
        (f"main = 5\n{LIMITS.replace('catalog', 'front')}", 'unknown service "front"'),
        ('main = "f.ts"\n[pyworkerd]\nrate_limits = 5\n', '"rate_limits" must be a list of tables'),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'name = "front"\n{text}')
    assert said in str(caught.value)


def test_a_key_that_nobody_knows_is_warned_of() -> None:
    (warning,) = read('name = "front"\nmain = "f.ts"\n[pyworkerd]\nrate_limit = []\n').warnings
    assert 'unknown key "rate_limit": did you mean "rate_limits"?' in str(warning)
