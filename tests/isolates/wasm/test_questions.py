"""The list of what a program may ask."""

from pyworkerd_isolates.wasm.assembly import ASK_TYPE
from pyworkerd_isolates.wasm.questions import KINDS, OLDER, QUESTIONS
from pyworkerd_isolates.wasm.system import call_name


def test_names_are_those_that_imports_have():
    for name in QUESTIONS:
        interface, _, function = name.partition(" ")
        if function:
            assert call_name(f"{interface}@0.2.3", f"[method]{function}") == name


def test_every_type_fits_a_question():
    for kind in KINDS.values():
        params, _, results = kind.partition(":")
        assert set(params + results) <= {"i", "l"}
        assert len(params) < len(ASK_TYPE.params)
        assert len(results) <= 1


def test_older_types_are_other_types():
    for (name, kind), question in OLDER.items():
        assert QUESTIONS[name] != kind
        assert KINDS[question] == kind
