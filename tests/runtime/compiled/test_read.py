"""Compiled files are opened as strangers' files: with limits, and nowhere but in a folder of their own."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.compiled import compile_to, open_compiled
from pyworkerd.compiled import read as module
from pyworkerd_config import ConfigError, Worker, load

from tests.runtime.compiled.projects import project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = json.dumps({"format": 1, "pyworkerd": "0"})
WORKER = '[[services]]\nname = "w"\n[services.worker]\nmain = "{}"\n'
SOCKETS = """
[[sockets]]
name = "a"
address = "*:80"
service = "w"
[[sockets]]
name = "b"
address = "*:443"
service = "w"
https = { cert = "/root/.profile", key = "b.key", acme = { hosts = ["a.example"], agree_to_terms = true } }
"""
SOUND = {
    "manifest.json": MANIFEST, "config.toml": WORKER.format("services/w/code/w.py"), "services/w/code/w.py": "",
}  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Opens bytes as a compiled file; gives the folder where it was unpacked."""
    monkeypatch.setattr(module, "_in_use", {})

    def open_(data: bytes) -> Path:
        path = tmp_path / "app.pyworkerd"
        path.write_bytes(data)
        (tmp_path / "outside.py").touch()
        file = open_compiled(path, tmp_path / "home").place.file
        assert file is not None
        return file.parent

    return open_


def packed(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_what_was_compiled_is_what_is_opened(tmp_path: Path) -> None:
    before = load(project(tmp_path / "project"))
    compile_to(before, tmp_path / "app.pyworkerd")
    config = open_compiled(tmp_path / "app.pyworkerd", tmp_path / "home")
    assert config.secrets == {}
    assert config.state_dir == tmp_path / "state"
    assert [service.name for service in config.services] == [service.name for service in before.services]
    worker, files, inbox = (service.kind for service in config.services[:3])
    assert isinstance(worker, Worker)
    assert worker.main.read_text() == (tmp_path / "project/src/w.js").read_text()
    assert (files.path / "a.txt").read_text() == "file"  # type: ignore[union-attr]
    assert inbox.path == tmp_path / "inbox"  # type: ignore[union-attr]


def test_it_is_unpacked_once(opened: Callable[[bytes], Path]) -> None:
    folder = opened(packed(SOUND))
    (folder / "mark").touch()
    assert opened(packed(SOUND)) == folder
    assert (folder / "mark").exists()
    assert opened(packed({**SOUND, "services/w/code/other.py": ""})) != folder


HOSTILE = {
    "no archive": (b"nothing", "this is no file that pyworkerd compile has made"),
    "empty": (b"", "this is no file that pyworkerd compile has made"),
    "cut off": (packed(SOUND)[:-30], "this is no file that pyworkerd compile has made"),
    "up": (
        packed({**SOUND, "services/../../out": ""}),
        "'services/../../out' is nothing that a compiled file may have",
    ),
    "absolute": (packed({**SOUND, "/etc/cron.d/out": ""}), "is nothing that"),
    "elsewhere": (packed({**SOUND, "out": ""}), "'out' is nothing that"),
    "backslash": (packed({**SOUND, "services\\..\\out": ""}), "is nothing that"),
    "terminal": (packed({**SOUND, "services/\x1b[2J": ""}), "'services/\\x1b[2J' is nothing that"),
    "dots": (packed({**SOUND, "services/./w": ""}), "is nothing that"),
    "secrets": (packed({**SOUND, ".dev.vars": "A=b"}), "'.dev.vars' is nothing that"),
    "file as folder": (packed({**SOUND, "services/w/code/w.py/x": ""}), "stands where something else is"),
    "other method": (packed(SOUND, zipfile.ZIP_LZMA), "is nothing that"),
    "no configuration": (
        packed({"manifest.json": MANIFEST}),
        "there is no manifest.json or no config.toml in it",
    ),
    "no manifest": (packed({"config.toml": ""}), "there is no manifest.json or no config.toml in it"),
    "manifest": (packed({**SOUND, "manifest.json": "[" * 100_000}), "its manifest.json cannot be read"),
    "large manifest": (packed({**SOUND, "manifest.json": " " * 100_000}), "its manifest.json cannot be read"),
    "other form": (
        packed({**SOUND, "manifest.json": '{"format": 2, "pyworkerd": "9.9\\u001b"}'}),
        "it was compiled by pyworkerd '9.9\\x1b' in another form than pyworkerd",
    ),
    "bomb": (packed({**SOUND, "services/w/zeros": "0" * (80 << 20)}), "more than 200 times as large"),
    "folders": (
        packed({**SOUND, **{f"services/{number}/{'a/' * 500}x": "" for number in range(130)}}),
        "at most 60,000 folders",
    ),
    "dot": (packed({**SOUND, ".": ""}), "'.' is nothing that"),
    "program outside": (
        packed({**SOUND, "config.toml": WORKER.format("../../../outside.py")}),
        "names a file that is not in",
    ),
    "folder outside": (
        packed({**SOUND, "config.toml": SOUND["config.toml"] + 'root = "../../.."\n'}),
        "names a file that is not in",
    ),
    "data outside": (
        packed(
            {
                **SOUND,
                "config.toml": SOUND["config.toml"]
                + 'bindings = { A = { data = { file = "/etc/hosts" } } }\n',
            }
        ),
        "names a file that is not in",
    ),
    "state outside": (
        packed({**SOUND, "config.toml": 'state_dir = "/var"\n' + SOUND["config.toml"]}),
        "state_dir lies outside of the folder of this file",
    ),
    "disk outside": (
        packed({**SOUND, "config.toml": '[[services]]\nname = "d"\ndisk = { path = "/" }\n'}),
        "'d' names a file that is not in this one",
    ),
    "disk above": (
        packed(
            {**SOUND, "config.toml": '[[services]]\nname = "d"\ndisk = { path = "../..", writable = true }\n'}
        ),
        "the disk 'd' lies outside of the folder of this file",
    ),
    "extension outside": (
        packed(
            {
                **SOUND,
                "config.toml": '[[extensions]]\nname = "a:b"\nfile = "/etc/hosts"\n' + SOUND["config.toml"],
            }
        ),
        "'a:b' names a file that is not in this one",
    ),
    "certificate outside": (
        packed({**SOUND, "config.toml": SOCKETS + SOUND["config.toml"]}),
        "a certificate lies outside of the folder of this file",
    ),
    "configuration": (packed({**SOUND, "config.toml": "x = 1"}), 'unknown key "x"'),
    "configuration of another version": (
        packed({**SOUND, "config.toml": "x = 1"}),
        "it was compiled by pyworkerd '0': compile it again with this version",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(opened: Callable[[bytes], Path], tmp_path: Path, name: str) -> None:
    data, message = HOSTILE[name]
    with pytest.raises(ConfigError) as caught:
        opened(data)
    assert message in str(caught.value)
    assert not any(path.name in ("out", "x", "zeros") for path in tmp_path.rglob("*")), "nothing was written"
    assert not list((tmp_path / "home/compiled").glob("new-*")), "nothing is left"


def test_a_name_that_is_there_twice(opened: Callable[[bytes], Path]) -> None:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in SOUND.items():
            archive.writestr(name, text)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("config.toml", "")
    with pytest.raises(ConfigError, match="a name is there twice"):
        opened(data.getvalue())


def test_sizes_are_not_believed(opened: Callable[[bytes], Path], tmp_path: Path) -> None:
    data = bytearray(packed({**SOUND, "services/w/zeros": "0" * 1_000_000}))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"services/w/zeros"))
    assert struct.unpack_from("<L", data, at + 24) == (1_000_000,)
    struct.pack_into("<L", data, at + 24, 10)
    with pytest.raises(ConfigError, match="the file is damaged"):
        opened(bytes(data))
    assert not list(tmp_path.rglob("zeros"))


def test_many_entries_are_refused_before_they_are_read(opened: Callable[[bytes], Path]) -> None:
    data = bytearray(packed(SOUND))
    struct.pack_into("<H", data, len(data) - 12, 65_000)
    with pytest.raises(ConfigError, match="at most 60,000 files"):
        opened(bytes(data))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_whatever_is_damaged_is_told(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("damaged")
    data = bytearray(packed(SOUND))
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path / "app.pyworkerd"
    path.write_bytes(bytes(data[: len(data) - cut % 7 * (cut % 11 == 0)]))
    try:
        open_compiled(path, tmp_path / "home")
    except ConfigError:
        pass
    finally:
        for folder in [each for each in module._in_use if each.is_relative_to(tmp_path)]:
            os.close(module._in_use.pop(folder))


def test_a_process_holds_as_many_as_it_may_still_serve(opened: Callable[[bytes], Path]) -> None:
    folders = [opened(packed({**SOUND, f"services/w/code/{n}.py": ""})) for n in range(module.HELD + 2)]
    assert list(module._in_use) == folders[2:]


def test_a_folder_that_others_may_enter_is_made_private(
    opened: Callable[[bytes], Path], tmp_path: Path
) -> None:
    (tmp_path / "home/compiled").mkdir(parents=True)
    (tmp_path / "home/compiled").chmod(0o777)
    folder = opened(packed(SOUND))
    assert [each.stat().st_mode & 0o077 for each in (folder, folder.parent, folder.parent.parent)] == [
        0,
        0,
        0,
    ]


def test_folders_that_nobody_serves_are_removed_and_others_are_not(
    opened: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 1)
    files = [packed({**SOUND, f"services/w/code/{name}.py": ""}) for name in "abc"]
    used, left = opened(files[0]), opened(files[1])
    os.utime(left, ns=(1, 1))
    os.utime(used, ns=(2, 2))
    os.close(module._in_use.pop(left))
    newest = opened(files[2])
    assert (used.exists(), left.exists(), newest.exists()) == (True, False, True)
    with module._lock_of(used).open("ab") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert opened(files[1]) == left
    assert left.exists(), "it is unpacked again"
