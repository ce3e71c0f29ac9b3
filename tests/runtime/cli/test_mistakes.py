"""Mistakes of operators: one clear message with place and remedy, exit status 2, no traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from pyworkerd.cli.configuration import must_keep
from pyworkerd.errors import ConfigurationError
from pyworkerd.server.listening import bind
from pyworkerd_config import ConfigError, load

from tests.runtime.cli.command import CONFIG, WORKER, project, run

if TYPE_CHECKING:
    from pathlib import Path


class Mistake(NamedTuple):
    """What is written, and what the message has to say."""

    says: tuple[str, ...]
    config: str = CONFIG
    worker: str = WORKER


FOREVER = "n = 0\nwhile True:\n    n += 1\n"
SECOND = '\n[[services]]\nname = "w"\n[services.worker]\nmain = "w.py"\n'

MISTAKES = {
    "an unknown key": Mistake(
        ("config.toml:10: ", '"compatibilty_date"', 'did you mean "compatibility_date"?'),
        CONFIG + 'compatibilty_date = "2026-11-01"\n',
    ),
    "a wrong type": Mistake(
        ("config.toml:10: ", '"cpu_ms" must be an integer', "cpu_ms = 50"),
        CONFIG + 'limits = { cpu_ms = "1" }\n',
    ),
    "not TOML": Mistake(("config.toml:1: ",), "[[sockets\n" + CONFIG),
    "a missing program": Mistake(
        ("config.toml:9: ", '"other.py" does not exist', "correct the path"),
        CONFIG.replace("w.py", "other.py"),
    ),
    "two services of one name": Mistake(
        ("config.toml:12: ", 'two services are named "w"', "config.toml:7"), CONFIG + SECOND
    ),
    "an unknown service in a binding": Mistake(
        ("config.toml:10: ", 'unknown service "ww"', 'did you mean "w"?'),
        CONFIG + 'bindings = { AUTH = { service = "ww" } }\n',
    ),
    "a secret that nobody gave": Mistake(
        ("config.toml:10: ", '"NOBODY_GAVE_THIS"', ".dev.vars"),
        CONFIG + 'bindings = { TOKEN = { secret = "NOBODY_GAVE_THIS" } }\n',
    ),
    "no socket": Mistake(("config.toml: ", "no socket", "[[sockets]]"), CONFIG[CONFIG.index("[[services") :]),
    "a syntax error in the worker": Mistake(("w.py:2: ", "SyntaxError"), worker="x = 1\ndef f(:\n"),
    "a worker that raises at top level": Mistake(
        ("w.py:3: ", "ValueError: not \\x1b[31mtoday"),
        worker='x = 1\n\nraise ValueError("not \\x1b[31mtoday")\n',
    ),
    "a worker that uses entropy at top level": Mistake(
        ("w.py", "random numbers", "inside a handler"), worker="import random\nx = random.random()\n"
    ),
    "a worker that is too slow at top level": Mistake(
        ("w.py", "100 ms", "limits.startup_ms", "raise the limit"),
        CONFIG + "limits = { startup_ms = 100 }\n",
        FOREVER,
    ),
    "a worker without an entrypoint": Mistake(("w.py", "class Default(WorkerEntrypoint)"), worker="x = 1\n"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_and_not_served(tmp_path: Path, name: str) -> None:
    mistake = MISTAKES[name]
    done = run("serve", project(tmp_path, mistake.config, w=mistake.worker))
    assert done.returncode == 2, done
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for text in mistake.says:
        assert text in errors[0]
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


KV = CONFIG + 'bindings = { CACHE = { kv = "cache" } }\n'


@pytest.mark.parametrize(
    ("state_dir", "config", "told"),
    [
        ("w.py", KV, "/w.py is no folder"),
        ("w.py/state", KV, "/w.py is no folder"),
        ("state", KV, "this user may not write to "),
        ("w.py", CONFIG, None),
    ],
)
def test_a_folder_that_can_keep_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_dir: str, config: str, told: str | None
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    path = project(tmp_path, f'state_dir = "{state_dir}"\n{config}')
    found = load(path)
    if told is None:
        assert must_keep(found) is found
        return
    with pytest.raises(ConfigError) as raised:
        must_keep(found)
    for text in ("config.toml: what workers store cannot be kept in ", told, "name another folder"):
        assert text in str(raised.value)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(
        ConfigurationError, match=r"cannot listen on 192\.0\.2\.1:0: .* this machine has no such"
    ):
        bind("192.0.2.1:0")


def test_validate_tells_the_same(tmp_path: Path) -> None:
    path = project(tmp_path, w="raise ValueError('no')\n")
    refused = run("validate", path)
    assert refused.returncode == 2
    assert "w.py:1: ValueError: no" in refused.stderr
    assert run("serve", path).stderr.splitlines()[-1] == refused.stderr.splitlines()[-1]


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    done = run("serve", project(tmp_path, CONFIG + 'crons = 1\nmian = "w.py"\nbindings = { A = 1 }\n'))
    assert done.returncode == 2
    assert [line.split(":")[2] for line in done.stderr.splitlines()] == ["10", "11", "12"]


def test_every_worker_that_does_not_deploy_is_told_at_once(tmp_path: Path) -> None:
    more = "".join(SECOND.replace('"w', f'"{name}') for name in "abcd")
    secret = 'bindings = { TOKEN = { secret = "NOBODY_GAVE_THIS" } }\n'
    programs = {"a": "raise ValueError('no')\n", "b": WORKER, "c": "def f(:\n", "d": WORKER}
    path = project(tmp_path, CONFIG + more + secret, **programs)
    for command in ("validate", "serve"):
        done = run(command, path)
        assert (done.returncode, done.stdout) == (2, "")
        told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(told) == 3
        for line, text in zip(
            told, ("a.py:1: ValueError: no", "c.py:1: SyntaxError", "NOBODY_GAVE_THIS"), strict=True
        ):
            assert text in line
        assert "Traceback" not in done.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = run("serve", tmp_path / "none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/none.toml: cannot be read (No such file or directory)\n"


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    done = run("serve", project(tmp_path), "--socket-addr", "https=127.0.0.1:0")
    assert done.returncode == 2
    assert "--socket-addr: there is no socket named 'https': there are: http" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("sevre",), ("kv",), ("serve", "a.toml", "--parser", "llhttp")])
def test_a_command_line_that_is_not_one(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: pyworkerd")
