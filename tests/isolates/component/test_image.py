"""Programs in the cache."""

import pytest
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.component import compiler
from pyworkerd_isolates.component.image import build_program, is_cached, program_name
from pyworkerd_isolates.errors import ImageError
from pyworkerd_isolates.native import Machine

from tests.isolates.component.programs import HELLO, cgi, compiled_here


@pytest.fixture
def machine():
    made = Machine()
    yield made
    made.close()


def test_a_program_is_compiled_once(machine, tmp_path, monkeypatch):
    cache, bundle = Cache(tmp_path), Bundle.of({"a.wasm": HELLO})
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    assert not is_cached(cache, program_name(bundle))
    with_code = build_program(machine, cache, bundle)
    assert (with_code.built, with_code.handlers, with_code.is_component) == (True, {"": ("fetch",)}, True)
    with_code.close()
    assert is_cached(cache, program_name(bundle))
    monkeypatch.setattr(compiler, "compiled", None)
    again = build_program(machine, cache, bundle)
    assert (again.built, again.name, again.memory_size) == (False, program_name(bundle), 2 << 16)
    again.close()


def test_what_is_damaged_is_compiled_again(machine, tmp_path, monkeypatch):
    cache, bundle = Cache(tmp_path), Bundle.of({"a.wasm": cgi("")})
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    build_program(machine, cache, bundle).close()
    for path in cache.folder.glob("*-memory.cwasm"):
        path.write_bytes(b"damaged")
    build_program(machine, cache, bundle).close()
    for path in cache.folder.glob("*-memory.cwasm"):
        path.unlink()
    assert not is_cached(cache, program_name(bundle))
    image = build_program(machine, cache, bundle)
    assert not image.is_component
    image.close()


def test_what_is_no_program(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    with pytest.raises(ImageError, match="neither a component nor a core module"):
        build_program(machine, Cache(tmp_path), Bundle.of({"a.wasm": b"hello"}))
