"""Engines by language, loaded when they are needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyworkerd_isolates.engines import Engines
from pyworkerd_isolates.languages import JAVASCRIPT, PYTHON

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox


def test_the_engine_is_of_its_language(sandbox: Sandbox) -> None:
    engine = sandbox.engines.of(JAVASCRIPT)
    assert engine.language == "javascript"
    assert engine is sandbox.engines.of(JAVASCRIPT)
    assert engine is not sandbox.engine


def test_objects_have_another_engine_where_their_language_says_so(sandbox: Sandbox) -> None:
    engines = sandbox.engines
    assert engines.of(PYTHON, has_storage=True) is engines.of(PYTHON)
    assert engines.of(JAVASCRIPT, has_storage=True) is not engines.of(JAVASCRIPT)
    assert engines.of(JAVASCRIPT, has_storage=True) is engines.of(JAVASCRIPT, has_storage=True)


def test_an_engine_is_loaded_once_however_many_ask(sandbox: Sandbox) -> None:
    engines = Engines(sandbox.machine, sandbox.cache)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(engines.of, [JAVASCRIPT, PYTHON] * 8))
    assert len(set(map(id, found))) == 2
    assert [engine.language for engine in found[:2]] == ["javascript", "python"]
    engines.close()
