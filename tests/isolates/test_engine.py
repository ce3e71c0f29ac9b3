"""Engines: what they are keyed by, that they are built once, and that there is nothing in them to call out with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import wasmtime
from pyworkerd_isolates import engine as engine_module
from pyworkerd_isolates import wire
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.engine import Built, Source, cpu_features, engine_key, load_engine
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.native import Instance
from pyworkerd_isolates.python.build import source

ANSWER = wire.encode([None, []])
TINY = """(module (import "image" "memory" (memory 1)) (global $id i32 (i32.const {id}))
  (func (export "seed") (param i64 i64 i64 i64))
  (func (export "refused") (result i32) (i32.const 0)) (func (export "refused_call") (result i32) (i32.const 0))
  (func (export "prepare_step") (param i32 i32) (result i32) (i32.const 8192))
  (func (export "step_at") (param i64 i32 i32) (result i32)
    (i32.store (i32.const 16) (i32.const 64)) (i32.store offset=4 (i32.const 16) (i32.const {size}))
    (i32.const 16)))"""


def tiny(identity=0, answer=ANSWER):
    """A source whose guest answers every step with no effects, and counts how often it was built."""
    text = "".join(f"\\{byte:02x}" for byte in answer)
    image = f'(module (memory (export "memory") 1) (data (i32.const 64) "{text}"))'
    builds = []

    def build(progress):
        builds.append(identity)
        progress("tiny")
        return Built(assemble(TINY.format(id=identity, size=len(answer))), assemble(image), ("a refusal",))

    return Source("tiny", "fingerprint", build), builds


@pytest.fixture
def fresh(tmp_path):
    return Cache(tmp_path / "home")


def test_an_engine_imports_nothing_but_its_memory(engine, cache, machine):
    entry = cache.get(f"engine-python-{engine_key(source())[:32]}.cwasm")
    assert entry.notes["key"] == engine.key
    module = wasmtime.Module.deserialize_file(machine._engine, str(entry.path))
    imports = [(each.module, each.name, type(each.type)) for each in module.imports]
    assert imports == [("image", "memory", wasmtime.MemoryType)]


def test_images_import_nothing_at_all(engine, cache, machine):
    entry = cache.get(f"base-python-{engine.key[:32]}.cwasm")
    module = wasmtime.Module.deserialize_file(machine._engine, str(entry.path))
    assert list(module.imports) == []
    assert [(each.name, type(each.type)) for each in module.exports] == [("memory", wasmtime.MemoryType)]


def test_what_the_engine_refuses_is_named(engine):
    assert {"wasi:filesystem/types descriptor.open-at", "wasi:cli/exit exit"} <= set(engine.refusals)


def test_the_key_depends_on_everything_that_native_code_depends_on(monkeypatch):
    first = source()
    keys = [
        engine_key(first),
        engine_key(replace(first, language="other")),
        engine_key(replace(first, fingerprint="x")),
    ]
    for name, value in (("WASMTIME_VERSION", "0.0.1"), ("cpu_features", lambda: "another processor")):
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, name, value)
            keys.append(engine_key(first))
    with monkeypatch.context() as patch:
        patch.setattr(engine_module.Machine, "settings", "other settings")
        keys.append(engine_key(first))
    assert len(set(keys)) == len(keys)
    assert engine_key(source()) == keys[0]


def test_cpu_features_names_the_processor(monkeypatch):
    here = cpu_features()
    assert here == cpu_features()
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: "model\nflags : sse2 avx\nmore")
    assert cpu_features().endswith(" avx sse2")

    def absent(*_, **__):
        raise OSError

    monkeypatch.setattr("pathlib.Path.read_text", absent)
    assert cpu_features() == here.split(" ", maxsplit=1)[0]


def test_a_cached_engine_is_loaded_without_a_build(machine, cache, engine):
    def build(progress):
        raise AssertionError("built")

    again = load_engine(machine, cache, replace(source(), build=build))
    assert (again.key, again.refusals) == (engine.key, engine.refusals)
    again.close()
    again.close()


def test_an_engine_is_built_once_with_its_progress_shown(machine, fresh):
    told = []
    made, builds = tiny()
    first = load_engine(machine, fresh, made, told.append)
    second = load_engine(machine, fresh, made)
    assert builds == [0]
    assert first.key == second.key
    assert first.refusals == ("a refusal",)
    assert told[0] == "tiny"
    assert told[-1].startswith("built in")
    assert second.base() is second.base()
    instance = Instance(second.code, second.base(), 1 << 20)
    assert instance.step("step", 0, b"", 100, 1000) == ANSWER
    instance.close()
    second.close()


@pytest.mark.parametrize("prefix", ["engine-", "base-"])
def test_half_of_an_engine_is_built_again(machine, fresh, prefix):
    made, builds = tiny()
    load_engine(machine, fresh, made)
    for path in fresh.folder.glob(f"{prefix}*.cwasm"):
        path.unlink()
    load_engine(machine, fresh, made).base()
    assert builds == [0, 0]


def test_a_damaged_engine_is_built_again_with_a_log_line(machine, fresh, caplog):
    made, builds = tiny()
    load_engine(machine, fresh, made).close()
    (path,) = fresh.folder.glob("engine-*.cwasm")
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    load_engine(machine, fresh, made).close()
    assert builds == [0, 0]
    assert "seal does not match" in caplog.text


def test_a_damaged_base_image_is_never_mapped_and_the_next_start_builds_it(machine, fresh):
    made, builds = tiny()
    engine = load_engine(machine, fresh, made)
    (path,) = fresh.folder.glob("base-*.cwasm")
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(EngineError, match="start again"):
        engine.base()
    load_engine(machine, fresh, made).base()
    assert builds == [0, 0]


def test_an_engine_that_came_out_otherwise_has_another_key(machine, fresh):
    """A heap fits the code it was made by. Two builds from the same sources need not be equal to the byte."""
    first = load_engine(machine, fresh, tiny(1)[0])
    for path in fresh.folder.glob("engine-*.cwasm"):
        path.unlink()
    second = load_engine(machine, fresh, tiny(2)[0])
    assert first.key != second.key


def test_a_guest_whose_machinery_does_not_work_is_no_engine(machine, fresh):
    made, _ = tiny(answer=wire.encode([None, [["crash", "broken"]]]))
    with pytest.raises(EngineError, match="broken"):
        load_engine(machine, fresh, made)
