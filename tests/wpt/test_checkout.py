"""Reading a checkout: what files say of themselves, and what they may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .checkout import Checkout, Meta, read_meta, resolve, substitute

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "meta"),
    [
        ("test();", Meta()),
        ("// META: title=All of it\n//META: timeout=long\n\n// META: script=late.js", Meta("All of it", 60)),
        (
            "// META: script=a.js\n// META: script=/b.js\n// META: nonsense=1\ntest();",
            Meta(scripts=("a.js", "/b.js")),
        ),
        ("// META: variant=?1-2\n// META: variant=?3-last\n", Meta(variants=("?1-2", "?3-last"))),
        ("// META: timeout=eternal\n", Meta()),
        ("// META: global=window, worker\n", Meta(scopes=frozenset({"window", "worker"}))),
    ],
)
def test_meta(source: str, meta: Meta) -> None:
    assert read_meta(source) == meta


@pytest.mark.parametrize(("scopes", "fits"), [("window", True), ("worker", True), ("serviceworker", False)])
def test_a_file_for_another_scope_is_none_for_us(scopes: str, fits: bool) -> None:
    assert read_meta(f"// META: global={scopes}").fits is fits


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("b.js", "area/b.js"),
        ("./b.js?x#y", "area/b.js"),
        ("../other/b.js", "other/b.js"),
        ("/resources/b.js", "resources/b.js"),
        ("../../../../etc/passwd", "etc/passwd"),
        ("/resources/WebIDLParser.js", "resources/webidl2/lib/webidl2.js"),
        ("http://elsewhere/b.js", None),
        ("//elsewhere/b.js", None),
    ],
)
def test_names_are_resolved_inside_of_the_root(name: str, path: str | None) -> None:
    assert resolve("area/a.any.js", name) == path


def test_substitutions() -> None:
    text = "{{host}}:{{ports[http][0]}} {{unknown}}"
    assert substitute(text) == "web-platform.test:8000 {{unknown}}"


def test_nothing_outside_of_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.js").symlink_to(tmp_path / "secret.js")
    (root / "link.any.js").symlink_to(tmp_path / "secret.js")
    checkout = Checkout(root)
    assert checkout.read("link.js") is None
    assert checkout.read("../secret.js") is None
    assert checkout.read("a\0b") is None
    with pytest.raises(LookupError, match=r"no \.\./secret"):
        list(checkout.cases(["../secret.js"]))
    assert list(checkout.cases(["."])) == []


def test_cases_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.any.js", "a.any.js", "deep/c.worker.js", "d.window.js", "e.js"):
        file = tmp_path / "area" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("// META: variant=?1\n// META: variant=?2\n" if name == "a.any.js" else "")
    names = [case.name for case in Checkout(tmp_path).cases(["area", "area/d.window.js"])]
    assert names == [
        "area/a.any.js?1", "area/a.any.js?2", "area/b.any.js", "area/deep/c.worker.js", "area/d.window.js",
    ]  # fmt: skip


def test_one_script_of_all(tmp_path: Path) -> None:
    (tmp_path / "helper.sub.js").write_text('"use strict"; const where = "{{host}}";')
    (tmp_path / "more.js").write_text("const more = 1;")
    (tmp_path / "a.worker.js").write_text(
        '// META: script=helper.sub.js\nimportScripts("/resources/testharness.js", "more.js");\ntest();'
    )
    checkout = Checkout(tmp_path)
    (case,) = checkout.cases(["a.worker.js"])
    script = checkout.script(case)
    assert script.startswith(";\n")
    assert script.index('"web-platform.test"') < script.index("const more") < script.index("test();")
    assert "importScripts" not in script


@pytest.mark.parametrize(
    ("source", "strict"),
    [
        ("// META: script=helper.js\n/* \"use\nstrict\" */\n'use strict';", True),
        ('// META: script=helper.js\n// "use strict"\ntest();', False),
    ],
)
def test_a_case_that_is_strict(tmp_path: Path, source: str, strict: bool) -> None:
    (tmp_path / "helper.js").write_text('"use strict";')
    (tmp_path / "a.any.js").write_text(source)
    checkout = Checkout(tmp_path)
    (case,) = checkout.cases(["a.any.js"])
    script = checkout.script(case)
    assert script.startswith(";\n")
    assert ("(function () {" in script) is strict


def test_a_script_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.any.js").write_text("// META: script=gone.js\n")
    checkout = Checkout(tmp_path)
    (case,) = checkout.cases(["a.any.js"])
    with pytest.raises(LookupError, match=r"gone\.js"):
        checkout.script(case)
