"""Languages by the suffix of a main file."""

from __future__ import annotations

import pytest
from pyworkerd_config.check import MAIN_SUFFIXES
from pyworkerd_isolates.languages import JAVASCRIPT, LANGUAGES, PYTHON, SUFFIXES, WASM, Language, language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/shop.py", PYTHON),
        ("w.js", JAVASCRIPT),
        ("w.mjs", JAVASCRIPT),
        ("w.test.ts", JAVASCRIPT),
        ("w.mts", JAVASCRIPT),
        ("w.wasm", WASM),
        ("w.rb", None),
        ("py", None),
        (".js", None),
    ],
)
def test_by_suffix(path: str, language: Language | None) -> None:
    assert language_of(path) is language


def test_the_configuration_knows_the_same() -> None:
    assert MAIN_SUFFIXES == SUFFIXES


@pytest.mark.parametrize("language", [each for each in LANGUAGES if not each.is_program])
def test_what_is_built_is_named_by_its_language(language: Language) -> None:
    assert language.source().language == language.name
    assert language.sources()[0].fingerprint == language.source().fingerprint


def test_the_engine_of_objects_is_built_with_the_others() -> None:
    assert JAVASCRIPT.has_storage_engine
    assert not PYTHON.has_storage_engine
    assert JAVASCRIPT.source(has_storage=True).language in {each.language for each in JAVASCRIPT.sources()}
    assert PYTHON.source(has_storage=True) == PYTHON.source()


def test_a_program_has_no_engine_to_be_built() -> None:
    assert WASM.sources() == ()
