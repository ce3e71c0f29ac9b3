from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.subject.programs import PROGRAMS

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox

each = pytest.mark.parametrize("name", PROGRAMS)


@each
def test_a_program_is_written_in_the_language_that_it_is_called_after(name: str) -> None:
    program = PROGRAMS[name]
    language = program.bundle(program.hello).language
    assert language.name == {"typescript": "javascript"}.get(name, name)


@each
def test_every_version_of_hello_says_hello_and_is_another_program(sandbox: Sandbox, name: str) -> None:
    program = PROGRAMS[name]
    bundles = [program.bundle(source) for source in (program.hello, program.version(1), program.version(2))]
    assert len({bundle.digest() for bundle in bundles}) == 3
    for bundle in bundles:
        with sandbox.start(bundle) as worker:
            assert worker.fetch("http://bench.test/").text == "hello"
