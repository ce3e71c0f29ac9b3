"""Bindings that are plain values: text, json, data, environment, secret. Each defined, and undefined."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.base import Value
from pyworkerd.bindings.registry import configure
from pyworkerd.bindings.secret import Secret, SecretBinding
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import Binding, Place

from tests.runtime.bindings.hosts import StaticHost, built, value_of

PLACE = Place(Path("config.toml"), 7)


def value(kind: str, configured: Any, host: StaticHost | None = None) -> Any:
    return asyncio.run(value_of(configure(Binding("NAME", kind, configured, place=PLACE)), host))


def refusal(kind: str, configured: Any, host: StaticHost | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        value(kind, configured, host)
    return str(caught.value)


@given(st.text())
def test_a_text_arrives_as_it_is_written(text: str) -> None:
    assert value("text", text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_arrives_as_it_is_written(configured: Any) -> None:
    assert value("json", configured) == configured


@given(st.binary())
def test_data_arrives_as_it_is(configured: bytes) -> None:
    assert value("data", configured) == configured


def test_data_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0")
    assert value("data", tmp_path / "logo.png") == b"\x89PNG\0"


def test_the_file_is_read_anew_for_each_version(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"one")
    binding = configure(Binding("NAME", "data", file))
    assert asyncio.run(value_of(binding)) == b"one"
    file.write_bytes(b"two")
    assert asyncio.run(value_of(binding)) == b"two"


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    message = refusal("data", tmp_path / "absent")
    assert message.startswith('config.toml:7: binding "NAME": ')
    assert "create the file or correct the path" in message


def test_an_environment_variable() -> None:
    assert value("environment", "HOME", StaticHost(environment={"HOME": "/home/eve"})) == "/home/eve"


def test_an_environment_variable_that_is_not_set_is_none() -> None:
    assert value("environment", "HOME", StaticHost(secrets={"HOME": "not this"})) is None


@pytest.mark.parametrize(
    ("environment", "dev_vars"),
    [({"TOKEN": "right"}, {}), ({}, {"TOKEN": "right"}), ({"TOKEN": "right"}, {"TOKEN": "wrong"})],
)
def test_a_secret_is_looked_for_in_the_environment_first(
    environment: dict[str, str], dev_vars: dict[str, str]
) -> None:
    assert value("secret", "TOKEN", StaticHost(environment=environment, secrets=dev_vars)) == "right"


def test_a_secret_that_is_nowhere_names_the_variable_and_both_places() -> None:
    message = refusal(
        "secret", "TOKEN", StaticHost(environment={"OTHER": "hidden"}, secrets={"ELSE": "hidden"})
    )
    assert message == (
        'config.toml:7: binding "NAME": the secret "TOKEN" is neither in the process\'s environment nor in '
        ".dev.vars: set the variable TOKEN, or write TOKEN=... in .dev.vars beside the configuration"
    )


@pytest.mark.parametrize(
    ("kind", "configured"),
    [
        *(("text", wrong) for wrong in (1, None, b"x")),
        *(("json", wrong) for wrong in (b"x", {1, 2}, float("nan"), object())),
        *(("data", wrong) for wrong in ("text", None, 1)),
        *((kind, wrong) for kind in ("environment", "secret") for wrong in ("", None, 3)),
    ],
)
def test_what_cannot_be_configured_is_said_with_place_and_remedy(kind: str, configured: Any) -> None:
    message = refusal(kind, configured)
    assert message.startswith('config.toml:7: binding "NAME": ')
    assert message.count(": ") >= 3


HIDDEN = "correct-horse-battery-staple"


def test_a_secret_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(HIDDEN)
    host = StaticHost(environment={"TOKEN": HIDDEN})
    bindings = [SecretBinding("A", "TOKEN"), SecretBinding("B", secret)]

    async def main() -> list[object]:
        async with built(bindings, host) as environment:
            assert [
                HIDDEN.encode() in entry[2] for entry in environment.entries if isinstance(entry[2], bytes)
            ] == [
                True,
                True,
            ]
            return [environment, await bindings[0].prepare(host)]

    shown = [secret, *bindings, *asyncio.run(main()), Value.of(HIDDEN), [secret], {"secret": secret}]
    with caplog.at_level(logging.DEBUG):
        for thing in shown:
            logging.getLogger("test").warning("%s %r", thing, thing)
    text = caplog.text + f"{secret} {secret!s} {secret!r}" + repr(shown)
    assert "<secret>" in text
    assert HIDDEN not in text


def test_a_secret_cannot_be_copied_by_accident() -> None:
    secret = Secret(HIDDEN)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(secret)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == HIDDEN


def test_an_error_beside_a_secret_does_not_show_it() -> None:
    async def main() -> None:
        bindings = [SecretBinding("A", "TOKEN"), SecretBinding("B", "ABSENT")]
        async with built(bindings, StaticHost(environment={"TOKEN": HIDDEN})):
            pass

    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(main())
    assert HIDDEN not in str(caught.value)
    assert "ABSENT" in str(caught.value)
