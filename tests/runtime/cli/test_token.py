"""`pyworkerd token`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd.admin.tokens import owner, parse
from pyworkerd.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_token_is_shown_once_and_its_hash_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "admin.tokens"
    assert main(["token", "ci", "--file", str(path)]) == 0
    first = capsys.readouterr().out.strip()
    path.write_text(path.read_text().rstrip("\n"))  # somebody's editor
    assert main(["token", "anna", "--file", str(path), "--days", "3", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    text = path.read_text()
    tokens = parse(text, path)
    assert first not in text
    assert second["token"] not in text
    assert [owner(each, tokens, 0.0) for each in (first, second["token"])] == list(tokens)
    assert [token.until for token in tokens] == [None, second["until"]]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "admin.tokens"
    main(["token", "ci", "--file", str(path)])
    before = path.read_text()
    for arguments, told in (
        (["ci", "--file", str(path)], "has a token named 'ci'"),
        (["c i", "--file", str(path)], "cannot be a name"),
        (["b", "--file", str(path), "--days", "0"], "from 1 to 3650"),
        (["b", "--file", str(tmp_path / "none" / "x")], "cannot be written"),
    ):
        assert main(["token", *arguments]) == 2
        assert told in capsys.readouterr().err
    assert path.read_text() == before
