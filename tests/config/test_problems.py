"""Problems print on one line each, and nothing from a file can drive a terminal."""

from __future__ import annotations

import difflib
import pickle
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import ConfigError, Place, Problem
from pyworkerd_config.problems import (
    MAX_COMPARED,
    MAX_LISTED,
    MAX_PAIRS,
    MAX_PROBLEMS,
    MAX_QUOTED,
    MAX_TYPED,
    ProblemList,
    did_you_mean,
    listing,
    quote,
)


def at(line: int) -> Place:
    return Place(Path("config.toml"), line)


def test_a_problem_is_place_message_and_remedy() -> None:
    problem = Problem(at(12), 'unknown key "sokets"', 'did you mean "sockets"?')
    assert str(problem) == 'config.toml:12: unknown key "sokets": did you mean "sockets"?'


def test_without_remedy_nothing_hangs_at_the_end() -> None:
    assert str(Problem(at(1), "broken")) == "config.toml:1: broken"


def test_an_error_has_one_line_per_problem_in_the_order_of_the_file() -> None:
    problems = ProblemList()
    problems.add(Problem(at(9), "b"))
    problems.add(Problem(at(2), "a"))
    assert str(problems.error()) == "config.toml:2: a\nconfig.toml:9: b"


def test_too_many_problems_are_counted() -> None:
    problems = ProblemList()
    for line in range(MAX_PROBLEMS + 5):
        problems.add(Problem(at(line), "x"))
    assert len(problems.error().problems) == MAX_PROBLEMS
    assert str(problems.error()).endswith("\nand 5 more problems")


def test_an_error_survives_pickling() -> None:
    error = ConfigError([Problem(at(1), "broken")], 3)
    again = pickle.loads(pickle.dumps(error))
    assert (again.problems, again.omitted) == (error.problems, 3)


@given(st.text(alphabet=st.characters(codec=None)))
def test_a_quoted_text_is_short_and_printable(text: str) -> None:
    quoted = quote(text)
    assert quoted.isprintable()
    assert len(quoted) <= 12 * MAX_QUOTED + 2


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("name", '"name"'),
        ('a"b', '"a\\"b"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("\x9b", '"\\u009b"'),
        ("\u202e", '"\\u202e"'),
        ("é", '"é"'),
    ],
)
def test_quoting(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("sokets", ["services", "sockets"]) == 'did you mean "sockets"?'


def test_without_a_near_name_the_other_remedy_is_given() -> None:
    assert did_you_mean("zzz", ["services"], "leave it out") == "leave it out"


def test_listing() -> None:
    assert listing(["a"]) == '"a"'
    assert listing(["a", "b", "c"], "and") == '"a", "b" and "c"'


def test_of_very_many_words_the_first_are_listed() -> None:
    assert listing(map(str, range(MAX_LISTED + 3)), "and").endswith('"49" and 3 more')


def test_nobody_looks_for_a_remedy_that_nobody_reads() -> None:
    problems, asked = ProblemList(), []

    def remedy() -> str:
        asked.append(None)
        return "do this"

    for line in range(MAX_PROBLEMS + 5):
        problems.report(at(line), "x", remedy)
    assert str(problems.error()).startswith("config.toml:0: x: do this\n")
    assert str(problems.error()).endswith("\nand 5 more problems")
    assert len(asked) == MAX_PROBLEMS


def test_a_name_is_compared_with_a_bounded_number_of_those_that_begin_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    real = difflib.get_close_matches

    def counting(word: str, like: list[str], **options: Any) -> list[str]:
        compared.append(len(like))
        return real(word, like, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    names = [f"{letter}-service" for letter in string.ascii_lowercase] + [f"shop-{n:04}" for n in range(3000)]
    assert did_you_mean("shop-1234x", names) == 'did you mean "shop-1234"?'
    long = [f"{'service-' * 7}{n:06}" for n in range(3000)]
    assert did_you_mean(f"{long[1234]}x", long) == f"did you mean {quote(long[1234])}?"
    assert compared == [MAX_COMPARED, MAX_PAIRS // 64**2]


def test_a_name_that_nobody_types_is_compared_with_none() -> None:
    longest = "a" * MAX_TYPED
    assert did_you_mean(longest, [f"{longest}b"], "leave it out") != "leave it out"
    assert did_you_mean(f"{longest}b", [longest], "leave it out") == "leave it out"
