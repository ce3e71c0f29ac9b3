"""Hostile documents on their way through HTMLRewriter, and hostile handlers: what is broken is the tenant's own."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.hostile.test_javascript import ANSWERED, CPU, ITS_OWN, MEMORY, RAISED, TIME, attack

SOURCE = Path(__file__).with_name("html.js").read_text(encoding="utf-8")

CASES: dict[str, set[str | None]] = {
    "nested": {RAISED, CPU},
    "nested_and_meant": {RAISED, CPU},
    "foreign": {RAISED, CPU},
    "attributes": {RAISED, CPU},
    "long_tag": {RAISED, CPU},
    "long_name": {RAISED, CPU},
    "long_comment": {RAISED, CPU},
    "names": {RAISED, CPU},
    "stray_ends": {CPU},
    "dashes": {CPU},
    "growth": {MEMORY, CPU},
    "one_element": {MEMORY, CPU},
    "inserted": {MEMORY, CPU},
    "throws": {RAISED},
    "throws_proxy": {RAISED},
    "never": {ANSWERED},
    "thenable": {CPU},
    "long_selector": {RAISED},
    "deep_not": {RAISED},
    "many_steps": {CPU},
    "many_rules": {CPU, MEMORY, ANSWERED},
    "chain": {RAISED, CPU, MEMORY, ANSWERED},
    "itself": {CPU, MEMORY, TIME, RAISED},
    "pollution": ITS_OWN,
}


@pytest.mark.parametrize("mode", CASES)
def test_hostile_html(mode: str, sandbox: object) -> None:
    outcome = asyncio.run(attack(mode, times=1, source=SOURCE))
    for status, code, text in outcome.answers[:-1]:
        assert code in CASES[mode], (status, code, text)
    assert outcome.neighbour == [f"served {n}" for n in (1, 2)]
    assert outcome.grown < 96 << 20
    if CASES[mode] is not ITS_OWN:
        assert outcome.answers[-1] == (200, None, "fine")


def test_every_mode_is_a_case() -> None:
    assert set(re.findall(r"^  async (\w+)\(", SOURCE, re.MULTILINE)) - {"fetch"} == CASES.keys()
