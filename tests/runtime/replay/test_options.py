"""What can be recorded, and where: refused before anything is served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ConfigurationError
from pyworkerd.replay.options import RecordOptions, check
from pyworkerd_config import load
from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_config import Config

CONFIG = """
[[services]]
name = "shop"
worker = { main = "shop.py" }
[[services]]
name = "native"
worker = { main = "native.py" }
[[services]]
name = "compiled"
worker = { main = "compiled.wasm" }
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name in ("shop.py", "native.py", "compiled.wasm"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "config.toml").write_text(CONFIG)
    read = load(tmp_path / "config.toml")
    services = [
        replace(each, kind=replace(each.kind, isolation="subinterpreter"))
        if each.name == "native" and isinstance(each.kind, Worker)
        else each
        for each in read.services
    ]  # of any version of Python
    return replace(read, services=tuple(services))


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path, config: Config) -> None:
    options = RecordOptions(tmp_path / ".a" / "b", ("shop",))
    check(options, config)
    assert (tmp_path / ".a" / "b").stat().st_mode & 0o777 == 0o700
    assert options.chooses("shop")
    assert not options.chooses("native")
    assert RecordOptions(tmp_path).chooses("anything")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "no worker named 'nobody'; there are: compiled, native, shop"),
        ("native", "trusted"),
        ("compiled", "component"),
    ],
)
def test_who_cannot_be_recorded_is_named(name: str, why: str, tmp_path: Path, config: Config) -> None:
    with pytest.raises(ConfigurationError, match=why):
        check(RecordOptions(tmp_path / ".r", ("shop", name)), config)
    assert not (tmp_path / ".r").exists()


@pytest.mark.parametrize("name", ["recordings", ".", "a/b"])
def test_a_folder_that_is_part_of_a_worker_is_refused(name: str, tmp_path: Path, config: Config) -> None:
    with pytest.raises(ConfigurationError, match=r"the folder of the worker 'shop'.*\.recordings"):
        check(RecordOptions(tmp_path / name), config)


def test_a_folder_that_others_can_look_into_is_refused(tmp_path: Path, config: Config) -> None:
    (tmp_path / ".open").mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        check(RecordOptions(tmp_path / ".open"), config)
    (tmp_path / ".file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        check(RecordOptions(tmp_path / ".file"), config)
