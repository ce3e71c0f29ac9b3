"""`modules` of a worker in config.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import ConfigError, Module, Place, Worker, parse_toml
from pyworkerd_config.toml.modules import written_module

PLACE = Place(Path("conf/config.toml"))
SERVICE = '[[services]]\nname = "shop"\n[services.worker]\n'


def worker(text: str) -> Worker:
    kind = parse_toml(SERVICE + text, PLACE).services[0].kind
    assert isinstance(kind, Worker)
    return kind


def test_the_first_module_is_the_main_one() -> None:
    shop = worker(
        'modules = [{ name = "shop.js", file = "src/shop.js" }, { name = "motto", kind = "text", text = "hi" },'
        ' { name = "logo", kind = "data", data = "aGk=" }]'
    )
    assert shop.modules == (
        Module("shop.js", "code", Path("conf/src/shop.js")),
        Module("motto", "text", "hi"),
        Module("logo", "data", b"hi"),
    )
    assert (shop.main, shop.root) == (Path("conf/shop.js"), Path("conf"))
    assert [written_module(each, str) for each in shop.modules] == [
        {"name": "shop.js", "file": "conf/src/shop.js"},
        {"name": "motto", "kind": "text", "text": "hi"},
        {"name": "logo", "kind": "data", "data": "aGk="},
    ]


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ('[{ name = "a.js" }]', 'a module has one of "file", "text" or "data", found none'),
        ('[{ name = "a.js", text = "", file = "a" }]', 'found "file" and "text"'),
        ('[{ text = "" }]', "name"),
        ('[{ name = "a", kind = "wasm", text = "" }]', '"code", "common", "text", "data" or "json"'),
        ('[{ name = "a", data = "?" }]', "not base64"),
    ],
)
def test_wrong_modules_are_named(modules: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"conf/config\.toml:4") as caught:
        worker(f"modules = {modules}")
    assert said in str(caught.value)
