"""The build of the JavaScript engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates.javascript import build
from pyworkerd_isolates.wasm.core import parse_module

if TYPE_CHECKING:
    import pytest


def test_the_engine_imports_its_memory_and_nothing_else() -> None:
    built = build.build(lambda _: None)
    module = parse_module(built.engine)
    assert [(item.module, item.name) for item in module.imports] == [("image", "memory")]
    assert {"step_at", "load_at", "boot_at", "reset", "at_rest", "seed"} <= module.exports.keys()
    assert module.data_segments == len(module.constants) == 1


def test_two_builds_are_equal() -> None:
    assert build.build(lambda _: None) == build.build(lambda _: None)


def test_its_key_is_of_every_script(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.source().fingerprint
    scripts = build.boot_script(build.make_constants())
    assert '"pyworkerd:entry"' in scripts
    assert '"pyworkerd:web/url"' in scripts
    monkeypatch.setattr(build, "_inputs", list)
    assert build.source().fingerprint != before


def test_texts_that_most_programs_do_without_are_constants() -> None:
    constants = build.make_constants()
    at, size = constants.texts["pyworkerd:node/path"]
    text = (build.GUEST / "node/path.js").read_bytes()
    assert constants.data[at : at + size] == text
    script = build.boot_script(constants)
    assert text.decode().splitlines()[0] not in script
    assert "// The engine's calls arrive here" in script
