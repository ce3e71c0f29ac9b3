"""Where things stand in a Cap'n Proto text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import ConfigError, Place
from pyworkerd_config.workerd.text import MAX_DEPTH, MAX_WORDS, Text, read_text

PLACE = Place(Path("config.capnp"))
TEXT = """# const no :Config = (import "no.capnp");
using W = import "/workerd/workerd.capnp";
using Shop = import "shop.capnp".Shop;
@0xe6afd26682091c02;
const config :W.Config = (
  services = [ (name = "a, (b]", worker = .shop), # (
    (name =.name, worker = Shop.worker) ],
  script = embed "a \\"b.js",
);
struct Scope { const inner :Text = "x"; }
"""


def read(text: str) -> Text:
    return read_text(text, PLACE)


def test_constants_have_their_values_with_places() -> None:
    text = read(TEXT)
    assert list(text.constants) == ["config", "Scope.inner"]
    services = text.constants["config"].fields["services"]
    assert text.line(services.at) == 6
    first, second = services.items
    assert (text.line(first.at), text.line(second.at)) == (6, 7)
    assert first.fields["worker"].refers == ("", "shop")
    assert second.fields["name"].refers == ("", "name")
    assert second.fields["worker"].refers == ("Shop", "worker")
    assert text.line(text.constants["config"].fields["script"].at) == 8


def test_files_that_are_named_are_found_outside_of_comments_and_texts() -> None:
    text = read(TEXT)
    assert [(each.word, each.path) for each in text.references] == [
        ("import", "/workerd/workerd.capnp"),
        ("import", "shop.capnp"),
        ("embed", 'a \\"b.js'),
    ]
    first = text.references[0]
    assert text.source[first.start : first.end] == '"/workerd/workerd.capnp"'
    assert text.aliases == {"W": (0, ()), "Shop": (1, ("Shop",))}


def test_a_block_of_text_names_a_file_as_well() -> None:
    source = "const a :Text = embed # here\n  `../b\n;"
    (found,) = read(source).references
    assert (found.path, source[found.start : found.end]) == ("../b\n", "`../b")


@pytest.mark.parametrize(
    ("source", "has_id"),
    [
        ("@0xe6afd26682091c02;", True),
        ("struct A @0xe6afd26682091c02 {}", False),
        ("# @0x1;\n", False),
        ("", False),
    ],
)
def test_whether_a_file_has_an_id(source: str, has_id: bool) -> None:
    assert read(source).has_id is has_id


def test_brackets_may_not_lie_in_one_another_for_ever() -> None:
    read(f"const a :T = {'(' * MAX_DEPTH}")
    with pytest.raises(ConfigError, match=r"config\.capnp:2: brackets lie in one another more than 64 deep"):
        read(f"\nconst a :T = {'(' * (MAX_DEPTH + 1)}")


@given(st.text(alphabet='()[]{}",;=.@#\n`\\ ab01const using import embed struct'))
def test_no_text_is_too_strange(source: str) -> None:
    text = read(source)
    for each in text.references:
        written = source[each.start : each.end]
        assert written[0] == written[-1] == '"' or (written[0] == "`" and "\n" not in written)


@pytest.mark.parametrize(
    "source", ['"' + '\\"' * 1_000_000, '"' * 1_000_001, "`" * 1_000_000, "@" * 1_000_000]
)
def test_what_would_take_for_ever_does_not(source: str) -> None:
    assert read(source).references == []


def test_there_are_only_so_many_words() -> None:
    with pytest.raises(ConfigError, match="the file has more than 1,000,000 words"):
        read("," * (MAX_WORDS + 1))


@pytest.mark.parametrize("source", ['embed "', 'embed "a', 'embed "a\\', 'embed "a\\"'])
def test_a_text_that_does_not_end_names_no_file(source: str) -> None:
    assert read(source).references == []
