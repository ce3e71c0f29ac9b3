"""What everybody may read holds nothing that is the server's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Place, check, parse_toml

WORKER = '[[services]]\nname = "w"\nworker = { main = "src/w.py", assets = { directory = "%s" } }\n'
KEY = (
    '[[sockets]]\nname = "s"\naddress = "*:1"\nservice = "w"\n'
    'https = { cert = "public/cert.pem", key = "public/key.pem" }\n'
)
TOKENS = '[admin]\naddress = "127.0.0.1:1"\ntokens = "public/tokens"\n'


def problems(text: str, directory: str) -> list[str]:
    return [str(found) for found in check(parse_toml(text + WORKER % directory, Place(Path("conf/c.toml"))))]


@pytest.mark.parametrize(
    ("text", "directory", "told"),
    [
        ('state_dir = "state"\n', ".", 'state_dir ("conf/state")'),
        ('state_dir = "public/../public/a/state"\n', "./public", 'state_dir ("conf/public/a/state")'),
        ('state_dir = "public"\n', "public", 'state_dir ("conf/public")'),
        (TOKENS, "public", 'the file of tokens ("conf/public/tokens")'),
        (KEY, "public", 'the key of a certificate ("conf/public/key.pem")'),
    ],
)
def test_what_the_server_keeps_to_itself_is_no_asset(text: str, directory: str, told: str) -> None:
    (found,) = problems(text, directory)
    assert f'{told} is among the assets of "w", which everybody may read' in found
    assert found.startswith("conf/c.toml:")


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("", "."),  # .pyworkerd
        ('state_dir = "public2"\n', "public"),
        ('state_dir = "."\n', "public"),
        ('state_dir = "public/.state"\n', "public"),
        (KEY, "public/site"),
    ],
)
def test_what_is_hidden_or_lies_elsewhere(text: str, directory: str) -> None:
    assert problems(text, directory) == []
