"""Programs as lists of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.listing import modules_of
from pyworkerd_config import ConfigError, Module, load
from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[[services]]
name = "listed"
[services.worker]
modules = [{ name = "a.js", text = "export default {}" }]
[[services]]
name = "folder"
[services.worker]
main = "src/w.js"
assets = { directory = "src/public" }
"""


def listed(folder: Path) -> dict[str, tuple[Module, ...]]:
    (folder / "config.toml").write_text(CONFIG)
    for name in ("w.js", "a.json", "lib/b.cjs", "lib/.hidden", "public/index.html"):
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).touch()
    config = load(folder / "config.toml")
    modules = modules_of(config)
    return {
        each.name: modules(each.name, each.kind) for each in config.services if isinstance(each.kind, Worker)
    }


def test_files_of_a_folder_are_listed_as_its_bundle_has_them(tmp_path: Path) -> None:
    found = listed(tmp_path)
    assert [(each.name, each.kind, each.content) for each in found["folder"]] == [
        ("w.js", "code", tmp_path / "src/w.js"),
        ("a.json", "json", tmp_path / "src/a.json"),
        ("lib/b.cjs", "common", tmp_path / "src/lib/b.cjs"),
    ]
    assert [each.name for each in found["listed"]] == ["a.js"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    listed(tmp_path)
    config = load(tmp_path / "config.toml")
    (tmp_path / "src/w.js").unlink()
    worker = config.services[1].kind
    assert isinstance(worker, Worker)
    with pytest.raises(ConfigError, match=r"w\.js is not a file"):
        modules_of(config)("folder", worker)
