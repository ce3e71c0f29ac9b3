"""Which server is meant, and what it answers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.remote import (
    ADDRESS_VARIABLE,
    TOKEN_VARIABLE,
    Remote,
    add_remote,
    path_of,
    remote_of,
    service_of,
)
from pyworkerd.problems import Refusal

from tests.runtime.cli.command import project

if TYPE_CHECKING:
    from pathlib import Path


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_remote(parser)
    return parser.parse_args(arguments)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ADDRESS_VARIABLE, TOKEN_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("unix:/run/s", "unix:/run/s"),
        ("127.0.0.1:9090", "http://127.0.0.1:9090"),
        ("[::1]:9090", "http://[::1]:9090"),
        ("*:9090", "http://127.0.0.1:9090"),
        ("[::]:9090", "http://[::1]:9090"),
        ("http://h:1", "http://h:1"),
        ("https://h:1", "https://h:1"),
    ],
)
def test_addresses(given: str, expected: str) -> None:
    assert remote_of(options("--to", given)).address == expected


@pytest.mark.parametrize(
    "given", ["h", "http://[", "http://h:99999", "http://h:x", "https://h:0", "ftp://h:1"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(Refusal, match="is no address: write unix:/path"):
        remote_of(options("--to", given))


def test_what_is_no_token_is_told_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = ("--to", "127.0.0.1:1")
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-token\r\n")  # of a file that was written on Windows
    assert remote_of(options(*to)).token == "secret-token"
    for wrong in ("secret\nx: y", "secret\u20ac", "secret\x7f"):
        monkeypatch.setenv(TOKEN_VARIABLE, wrong)
        with pytest.raises(Refusal, match=rf"^\${TOKEN_VARIABLE} holds no token") as raised:
            remote_of(options(*to))
        assert "secret" not in str(raised.value)
    (tmp_path / "t").write_text("secret\ntoken")
    with pytest.raises(Refusal, match="/t holds no token"):
        remote_of(options(*to, "--token-file", str(tmp_path / "t")))


def test_the_address_and_the_token_of_environment_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = project(tmp_path)
    with pytest.raises(Refusal, match="no server is named"):
        remote_of(options("-c", str(config)))
    config.write_text('admin = "unix:/run/s"\n' + config.read_text())
    assert remote_of(options("-c", str(config))) == Remote("unix:/run/s")
    assert service_of(options("-c", str(config))) == "w"
    monkeypatch.setenv(ADDRESS_VARIABLE, "10.0.0.5:9090")
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-token")
    assert remote_of(options("-c", str(config))) == Remote("http://10.0.0.5:9090", "secret-token")
    assert "in the clear" in capsys.readouterr().err
    (tmp_path / "t").write_text("other-token\n")
    assert (
        remote_of(options("--to", "127.0.0.1:1", "--token-file", str(tmp_path / "t"))).token == "other-token"
    )
    assert capsys.readouterr().err == ""
    with pytest.raises(Refusal, match="cannot be read as a token"):
        remote_of(options("--to", "127.0.0.1:1", "--token-file", str(tmp_path / "none")))


def test_a_service_has_to_be_clear(tmp_path: Path) -> None:
    config = project(tmp_path)
    config.write_text(config.read_text() + '[[services]]\nname = "v"\nworker = { main = "w.py" }\n')
    with pytest.raises(Refusal, match="name a service with --service: there are w, v"):
        service_of(options("-c", str(config)))
    assert service_of(options("-c", str(config), "--service", "v")) == "v"
    assert path_of("a/b", "c d") == "/services/a%2Fb/c%20d"


def test_nobody_is_there(tmp_path: Path) -> None:
    for address in (f"unix:{tmp_path / 's'}", "http://127.0.0.1:1"):
        with pytest.raises(Refusal, match="cannot be asked") as raised:
            Remote(address).ask("GET", "/session")
        assert raised.value.status == 1
    with pytest.raises(Refusal, match="is no address"):
        remote_of(options("--to", "nonsense"))
