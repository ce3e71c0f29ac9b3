"""Extensions, and bindings that are made by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import (
    Binding,
    Config,
    Extension,
    Place,
    Service,
    Worker,
    check,
    parse_toml,
    to_toml,
    with_internet,
)

PLACE = Place(Path("conf/config.toml"))


def worker(*bindings: Binding, main: str = "a.js") -> Service:
    return Service("a", Worker(Path(main), Path(), bindings=bindings))


def said(*extensions: Extension, service: Service | None = None) -> list[str]:
    config = with_internet(Config(services=(service or worker(),), extensions=extensions))
    return [f"{problem.message}: {problem.remedy}" for problem in check(config)]


@pytest.mark.parametrize("name", ["shop:kitchen", "kitchen", "shop-internal:parts/kitchen.js", "@scope/shop"])
def test_names_of_extensions(name: str) -> None:
    assert said(Extension(name, "")) == []


@pytest.mark.parametrize("name", ["", "/a", "a//b", "https://a/b", "a/../b", ".env", "a b", "shop:", "a:b:c"])
def test_what_is_no_name(name: str) -> None:
    assert (
        "cannot be the name of an extension: write for example shop:kitchen" in said(Extension(name, ""))[0]
    )


def test_modules_that_every_worker_has_are_not_replaced() -> None:
    assert "is the name of a module that every worker has" in said(Extension("node:fs", ""))[0]
    assert said(Extension("a:b", ""), Extension("a:b", "")) == ['two extensions are named "a:b": rename one']


def test_wrapped_bindings_are_made_by_extensions_in_javascript() -> None:
    wrapped = Binding("SHOP", "wrapped", "shop:binding", {"bindings": (Binding("OTHER", "service", "none"),)})
    extension = Extension("shop:binding", "")
    assert said(extension, service=worker(wrapped)) == [
        'unknown service "none": there are "a" and "internet"'
    ]
    assert said(Extension("shop:bindin", ""), service=worker(Binding("SHOP", "wrapped", "shop:binding"))) == [
        'there is no extension "shop:binding": did you mean "shop:bindin"?'
    ]
    assert said(extension, service=worker(Binding("SHOP", "wrapped", "shop:binding"), main="a.py")) == [
        '"a" is no worker in JavaScript, which wrapped bindings are for: bind what it wraps'
    ]


def test_they_are_written_and_read() -> None:
    text = """
[[extensions]]
name = "shop:kitchen"
text = "export default 1"
internal = true

[[extensions]]
name = "shop:menu"
file = "menu.js"

[[services]]
name = "a"
[services.worker]
main = "a.js"
[services.worker.bindings]
S = { wrapped = "shop:kitchen", entrypoint = "make", bindings = { P = { json = [1] }, L = { data = { file = "l" } } } }
"""
    config = parse_toml(text, PLACE)
    assert config.extensions == (
        Extension("shop:kitchen", "export default 1", internal=True),
        Extension("shop:menu", Path("conf/menu.js")),
    )
    kind = config.services[0].kind
    assert isinstance(kind, Worker)
    inner = (Binding("P", "json", [1]), Binding("L", "data", Path("conf/l")))
    assert kind.bindings == (
        Binding("S", "wrapped", "shop:kitchen", {"entrypoint": "make", "bindings": inner}),
    )
    assert parse_toml(to_toml(config), PLACE) == config
    assert check(config) == []
