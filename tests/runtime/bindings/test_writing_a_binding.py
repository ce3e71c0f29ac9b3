"""The page about writing a binding is true: the files it names exist, and the code it shows is the code there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyworkerd.bindings import base, registry
from pyworkerd.bindings.registry import KINDS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "writing-a-binding.md").read_text()
FENCED = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCED.findall(PAGE)
FILES = sorted(set(re.findall(r"`([\w/]+\.py)`", FENCED.sub("", PAGE))))


def test_it_names_files() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES)
def test_each_file_that_it_names_exists(file: str) -> None:
    assert (ROOT / file).is_file()


def test_it_shows_all_of_the_host_half() -> None:
    assert (ROOT / "runtime/pyworkerd/bindings/hello/__init__.py").read_text() in BLOCKS


def test_it_shows_all_of_the_guest_half() -> None:
    guest = (ROOT / "isolates/pyworkerd_isolates/python/guest/workers/bindings.py").read_text()
    (shown,) = [block for block in BLOCKS if block.startswith("class Hello(Capability)")]
    assert shown in guest
    assert guest.split(shown)[1].lstrip("\n").startswith(("class ", "SHAPES"))


def test_the_names_that_it_uses_exist() -> None:
    assert callable(base.problem)
    assert set(re.findall(r"see `(\w+)`", PAGE)) <= KINDS.keys()
    assert registry.KINDS["hello"] == "hello:HelloBinding"
