"""The engine's build: keyed by all that goes into it, and its failures are told. The build itself is what every other
test here runs on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.python import build


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A copy of the guest that may be changed."""
    guest = tmp_path / "guest"
    shutil.copytree(build.GUEST, guest, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "GUEST", guest)
    return guest


def test_the_fingerprint_is_stable_and_that_of_the_content(inputs, monkeypatch):
    before = build.source().fingerprint
    assert before == build.source().fingerprint
    monkeypatch.undo()
    assert build.source().fingerprint == before
    assert build.source().language == "python"


def change_a_file(guest):
    path = guest / "_pyworkerd" / "loop.py"
    path.write_text(path.read_text() + "\n")


def add_a_file(guest):
    (guest / "workers" / "more.py").write_text("")


def remove_a_file(guest):
    (guest / "workers" / "blob.py").unlink()


def move_a_file(guest):
    (guest / "workers" / "blob.py").rename(guest / "_pyworkerd" / "blob.py")


@pytest.mark.parametrize("change", [change_a_file, add_a_file, remove_a_file, move_a_file])
def test_every_change_of_the_guest_is_another_engine(inputs, change):
    before = build.source().fingerprint
    change(inputs)
    assert build.source().fingerprint != before


def test_what_tools_leave_behind_is_no_change(inputs):
    before = build.source().fingerprint
    (inputs / "__pycache__").mkdir()
    (inputs / "__pycache__" / "entry.pyc").write_bytes(b"x")
    assert build.source().fingerprint == before


@pytest.mark.parametrize("name", ["WIT", "WIRE"])
def test_the_interface_and_the_codec_count(tmp_path, monkeypatch, name):
    before = build.source().fingerprint
    changed = tmp_path / getattr(build, name).name
    changed.write_bytes(getattr(build, name).read_bytes() + b"\n")
    monkeypatch.setattr(build, name, changed)
    assert build.source().fingerprint != before


def test_the_version_of_componentize_counts(monkeypatch):
    before = build.source().fingerprint
    monkeypatch.setattr(build, "installed_version", lambda *_: "99")
    assert build.source().fingerprint != before


@pytest.mark.parametrize(
    ("program", "told"),
    [("import sys; sys.exit('it broke')", "it broke"), ("print('no output')", "no output")],
)
def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path, monkeypatch, program, told):
    monkeypatch.setattr(build, "_RUN", program)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines = []
    with pytest.raises(EngineError, match=told):
        build.build(lines.append)
    assert len(lines) == 1
    assert list(Path(tmp_path).iterdir()) == []
