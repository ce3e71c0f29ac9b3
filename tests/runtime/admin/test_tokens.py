"""Tokens, and the file that has their hashes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyworkerd.admin.tokens import (
    VARIABLE,
    Token,
    TokenFile,
    digest_of,
    from_environment,
    line_of,
    make_token,
    owner,
    parse,
)
from pyworkerd.errors import ConfigurationError

PLACE = Path("admin.tokens")
HASH = "sha256:" + "0" * 64
DAY = datetime(2027, 1, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("line", "until"),
    [
        (f"ci {HASH}", None),
        (f"  ci\t{HASH}   # made in March", None),
        (f"ci {HASH} until:2027-01-31", DAY),
        (f"ci {HASH} until:2027-01-31T00:00:00Z", DAY),
        (f"ci {HASH} until:2027-01-31T02:00:00+02:00", DAY),
    ],
)
def test_a_line_is_a_token(line: str, until: float | None) -> None:
    (token,) = parse(f"# tokens\n\n{line}\n", PLACE)
    assert token == Token("ci", bytes(32), until)
    assert parse(line_of(token), PLACE) == (token,)


@pytest.mark.parametrize(
    "line",
    [
        "alone",
        f"ci {HASH[:-1]}",
        f"ci {HASH} later",
        f"ci {HASH} until:soon",
        f"ci {HASH} from:2027-01-31",
        f"ci {HASH} until:2027-01-31 more",
        f"-ci {HASH}",
        f"c\x1bi {HASH}",
        pytest.param(make_token(), id="a token itself"),
    ],
)
def test_what_is_no_token_is_told_with_its_line_and_never_repeated(line: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(f"ok {HASH}\n{line}\n", PLACE)
    assert str(raised.value).startswith("admin.tokens:2: this is no token")
    assert line not in str(raised.value)


def test_a_name_is_one_token() -> None:
    with pytest.raises(ConfigurationError, match=r"admin\.tokens:2: there are two tokens named 'ci'"):
        parse(f"ci {HASH}\nci {HASH}\n", PLACE)


def test_whose_a_token_is() -> None:
    first, second = make_token(), make_token()
    tokens = (Token("a", digest_of(first)), Token("b", digest_of(second), until=100.0))
    assert owner(first, tokens, 50.0) == tokens[0]
    assert owner(second, tokens, 99.9) == tokens[1]
    assert owner(second, tokens, 100.0) is None  # it has ended
    for wrong in ("", first[:-1], first + "x", first.upper(), "\ud800", "x" * 100_000):
        assert owner(wrong, tokens, 50.0) is None


def test_the_token_of_the_environment() -> None:
    assert from_environment(None) == from_environment("") == ()
    assert from_environment("x" * 24 + "\r\n") == from_environment("x" * 24)
    assert from_environment("x" * 24) == (Token("environment", digest_of("x" * 24)),)
    with pytest.raises(ConfigurationError, match=VARIABLE) as raised:
        from_environment("hunter2")
    assert "hunter2" not in str(raised.value)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "admin.tokens"
    path.write_text(f"a {HASH}\n")
    more = Token("environment", b"")
    file = TokenFile(path, (more,))
    names = lambda: [token.name for token in file.now()]  # noqa: E731
    assert file.wanted
    assert names() == ["a", "environment"]
    path.write_text(f"a {HASH}\nb {HASH}\n")
    assert names() == ["a", "b", "environment"]
    for spoil in (lambda: path.write_text("nonsense"), path.unlink):
        spoil()
        caplog.clear()
        for _ in range(3):
            assert names() == ["environment"]  # none of what it had, rather than too many
        assert caplog.text.count("no token of the file is accepted") == 1
    path.write_text(f"c {HASH}\n")
    assert names() == ["c", "environment"]
    assert not TokenFile(None).wanted


def test_a_file_that_others_can_write_is_none(tmp_path: Path) -> None:
    path = tmp_path / "admin.tokens"
    path.write_text(f"a {HASH}\n")
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="can be written to by others: chmod go-w"):
        TokenFile(path)
    for odd in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigurationError):
            TokenFile(odd)
