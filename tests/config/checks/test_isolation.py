"""Workers that are in no sandbox: what they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config.checks.isolation import SINCE, isolation
from pyworkerd_config.explain import NO_SANDBOX, to_json, to_toml
from pyworkerd_config.kinds import BINDING_KINDS
from pyworkerd_config.model import Place, Worker
from pyworkerd_config.problems import ConfigError
from pyworkerd_config.toml.reader import parse_toml

PLACE = Place(Path("/x/config.toml"))
TEXT = """
[[services]]
name = "native"
[services.worker]
main = "{main}"
isolation = "{isolation}"
{more}
"""


def problems(
    main: str = "w.py", isolated: str = "subinterpreter", more: str = "", version: tuple[int, int] = SINCE
) -> list[str]:
    config = parse_toml(TEXT.format(main=main, isolation=isolated, more=more), PLACE)
    return [str(problem) for problem in isolation(config, BINDING_KINDS, version)]


def test_a_python_worker_may_be_one() -> None:
    assert problems() == problems(version=(3, 14)) == []


def test_the_python_that_is_needed_is_said_with_what_to_write_instead() -> None:
    assert problems(version=(3, 11)) == [
        (
            '/x/config.toml:6: isolation = "subinterpreter" needs Python 3.13 or newer, and this is 3.11: run '
            'pyworkerd with Python 3.13 or newer, or write isolation = "wasm"'
        )
    ]
    assert problems(isolated="wasm", version=(3, 11)) == []


@pytest.mark.parametrize(
    ("main", "more", "told"),
    [
        ("w.ts", "", 'is for Python workers, and "w.ts" is none'),
        ("w.py", 'durable_objects = [{ class_name = "Room" }]', "has no Durable Objects"),
    ],
)
def test_what_it_cannot_be(main: str, more: str, told: str) -> None:
    (problem,) = problems(main, more=more)
    assert told in problem
    assert 'write isolation = "wasm"' in problem


def test_it_is_written_as_it_was_read_and_off_by_default() -> None:
    config = parse_toml(TEXT.format(main="w.py", isolation="subinterpreter", more=""), PLACE)
    assert f'[services.worker]\n{NO_SANDBOX}\nmain = "w.py"\nisolation = "subinterpreter"' in to_toml(config)
    assert parse_toml(to_toml(config), PLACE) == config
    assert to_json(config)["services"][0]["worker"]["isolation"] == "subinterpreter"
    assert Worker(Path(), Path()).isolation == "wasm"
    assert NO_SANDBOX not in to_toml(parse_toml(TEXT.format(main="w.py", isolation="wasm", more=""), PLACE))


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match='"isolation" must be "wasm" or "subinterpreter"'):
        problems(isolated="process")
