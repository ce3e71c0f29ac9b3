"""Every question has an answer, and every answer a question."""

import inspect

from pyworkerd_isolates.component.answers import ANSWERS, answering
from pyworkerd_isolates.wasm.questions import KINDS


def test_the_tables_agree():
    assert ANSWERS.keys() == KINDS.keys()


def test_each_is_given_what_it_is_about():
    for name, (answer, count) in zip(KINDS, answering(tuple(KINDS)), strict=True):
        inspect.signature(answer).bind(None, *range(count))
        assert count == KINDS[name].index(":")
