"""Answers to challenges: ours are given before anybody else is asked, all else goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.acme.challenges import PREFIX, Answering, token_of
from pyworkerd.acme.files import AcmeFiles
from pyworkerd.messages import Body, Request, Response

from tests.runtime.server.client import get, run, site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("method", "path", "token"),
    [
        ("GET", f"{PREFIX}abc-_09", "abc-_09"),
        ("HEAD", f"{PREFIX}abc?x=y", "abc"),
        ("POST", f"{PREFIX}abc", None),
        ("GET", PREFIX, None),
        ("GET", f"{PREFIX}../account.key", None),
        ("GET", f"{PREFIX}%2e%2e%2faccount.key", None),
        ("GET", f"{PREFIX}a/b", None),
        ("GET", f"{PREFIX}a.key", None),
        ("GET", f"{PREFIX}{'a' * 129}", None),
        ("GET", f"{PREFIX}a\u00e4", None),
        ("GET", f"/x{PREFIX}abc", None),
        ("GET", f"/?{PREFIX}abc", None),
    ],
)
def test_what_is_a_challenge(method: str, path: str, token: str | None) -> None:
    assert token_of(Request(method, f"http://shop.example{path}")) == token


def test_ours_are_answered_and_others_go_on(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path)
    files.prepare()
    (files.challenges / "ours").write_text("ours.digest")
    (tmp_path / "account").write_text("secret")

    async def behind(request: Request) -> Response:
        return Response(200, (), Body(b"went on"))

    async def main() -> None:
        async with site(Answering(files, behind)) as place:
            client = await place.connect()
            for path, body in (
                ("ours", b"ours.digest"),
                ("theirs", b"went on"),
                ("../account", b"went on"),
                ("%2e%2e/account", b"went on"),
            ):
                assert (await client.ask(get(PREFIX + path)))[2] == body
            assert (await client.ask(get("/")))[2] == b"went on"
            await client.aclose()

    run(main)
