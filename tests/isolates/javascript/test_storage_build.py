"""The build of the JavaScript engine that has SQLite inside."""

from __future__ import annotations

import re

import pytest
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.javascript import build, sqlite, storage_build, storage_glue
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.core import parse_module
from pyworkerd_isolates.wasm.linking import Definition
from pyworkerd_isolates.wasm.preview1 import Ground


@pytest.fixture(scope="module")
def component() -> bytes:
    return sqlite.component()


def test_it_imports_its_memory_and_nothing_else(component: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "component", lambda: component)
    built = storage_build.build(lambda _: None)
    module = parse_module(built.engine)
    assert [(item.module, item.name) for item in module.imports] == [("image", "memory")]
    plain = parse_module(build.build(lambda _: None).engine)
    assert module.exports.keys() == plain.exports.keys()
    assert module.data_segments == plain.data_segments
    assert len(plain.bodies) + 1000 < len(module.bodies) < len(plain.bodies) + 2000


def test_it_is_joined_with_what_it_needs_and_no_more(component: bytes) -> None:
    ground = Ground(1 << 20, 100, Definition(0, 0), 64)
    joined = sqlite.SQLite(component).join(ground, storage_glue.SQLITE, 312)
    assert joined.exports.keys() == set(storage_glue.SQLITE)
    names = {(item.module, item.name) for item in joined.calls}
    assert {name for _, name in names} == {
        "malloc", "realloc", "free", "gettimeofday", "getenv", "strerror", "nanosleep", "open", "lseek", "fsync",
        "utimes", "sqlite3_randomness",
    }  # fmt: skip
    assert names <= sqlite.ANSWERED.keys() | sqlite.CONSTANT.keys()
    assert all(address >= ground.address for address, _ in joined.data)
    # Python's own data is not among it, but for the texts that the linker put between SQLite's.
    assert sum(len(content.strip(b"\0")) for _, content in joined.data) < 400_000
    assert not any(re.search(rb"PyInit_", content) for _, content in joined.data[1:2])


def test_what_is_not_there_cannot_be_joined(component: bytes) -> None:
    with pytest.raises(KeyError):
        sqlite.SQLite(component).join(Ground(1 << 20, 1, Definition(0, 0), 64), ["sqlite3_nothing"], 312)
    with pytest.raises(WasmFormatError, match="no component"):
        sqlite.SQLite(b"\0asm")


def test_componentize_py_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WORLD", "not a world")
    with pytest.raises(EngineError, match=r"componentize-py failed:\n.+"):
        sqlite.component()


def test_only_this_engine_has_the_modules_of_objects() -> None:
    assert "pyworkerd:objects/sql" not in build.boot_script(build.make_constants())
    assert "pyworkerd:objects/sql" in build.boot_script(build.make_constants(), has_storage=True)
    assert storage_build.source().fingerprint != build.source().fingerprint
    assert storage_build.source().language == "javascript_storage"
