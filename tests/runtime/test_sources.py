"""What configured workers are deployed from, and where their top level failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyworkerd.sources import read_modules, sentence_of
from pyworkerd_config.model import Module, Worker
from pyworkerd_isolates.bundle import MAX_BUNDLE_BYTES
from pyworkerd_isolates.errors import BundleError, TopLevelRaised


def test_modules_are_read_from_files_and_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("code")
    bundle = read_modules(
        (Module("a.js", "code", tmp_path / "a.js"), Module("t", "text", "é"), Module("d", "data", b"\0"))
    )
    assert bundle.main == "a.js"
    assert bundle.files == {"a.js": b"code", "t": "é".encode(), "d": b"\0"}
    assert bundle.kinds == {"a.js": "code", "t": "text", "d": "data"}
    other = read_modules(
        (Module("a.js", "code", "code"), Module("t", "data", "é"), Module("d", "data", b"\0"))
    )
    assert other.files == bundle.files
    assert other.digest() != bundle.digest()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)
    for content, said in (
        (tmp_path / "absent", "No such file"),
        (tmp_path, "is not a file|Is a directory"),
        (tmp_path / "pipe", "is not a file"),
        (large, "more than"),
    ):
        with pytest.raises(BundleError, match=said):
            read_modules((Module("a.js", "code", content),))


def test_a_failure_names_the_file_that_a_module_was_embedded_from() -> None:
    modules = (Module("a.js", "code", Path("src/worker.js")), Module("b.js", "code", "throw 1"))
    worker = Worker(main=Path("conf/a.js"), root=Path("conf"), modules=modules)
    assert sentence_of(TopLevelRaised("Error: 1", file="a.js", line=2), worker) == "src/worker.js:2: Error: 1"
    assert sentence_of(TopLevelRaised("Error: 1", file="b.js", line=1), worker) == "conf/b.js:1: Error: 1"
    assert sentence_of(TopLevelRaised("Error: 1"), worker) == "src/worker.js: Error: 1"
