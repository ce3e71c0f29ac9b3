"""Where things lie in a compiled file."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from pyworkerd.compiled.layout import below, has_many_folders, inside, moved, place_of
from pyworkerd_config import Place, model, parse_toml

TEXT = """
state_dir = "state"
admin = { address = "127.0.0.1:9090", tokens = "tokens" }
[[sockets]]
name = "s"
address = "*:443"
https = { cert = "/etc/a.pem", key = "a.key", client_ca = "ca.pem" }
[[services]]
name = "w"
[services.worker]
main = "src/w.py"
assets = { directory = "public" }
bindings = { DB = { d1 = "db", migrations = "sql" }, LOGO = { data = { file = "logo.png" } } }
[[services]]
name = "files"
disk = { path = "files" }
[[services]]
name = "inbox"
disk = { path = "inbox", writable = true }
"""


@pytest.mark.parametrize(
    ("path", "folder", "found"),
    [
        ("/a/b/c", "/a", "b/c"), ("/a", "/a", "."), ("/a/../b", "/a", None), ("/ab", "/a", None),
        ("a/../../b", "a", None), ("a/./b", "a", "b"),
    ],
)  # fmt: skip
def test_below(path: str, folder: str, found: str | None) -> None:
    assert below(Path(path), Path(folder)) == (None if found is None else Path(found))


def test_every_path_of_a_configuration_is_inside_beside_or_anywhere() -> None:
    config = parse_toml(TEXT, Place(Path("/conf/config.toml")))
    told: list[str] = []

    def beside(path: Path, what: str, _place: Place) -> Path:
        told.append(what)
        return Path("/beside") / path.name

    result = moved(config, beside, lambda path: Path("/anywhere") / path.name)
    assert told == ["state_dir", "the disk 'inbox'"]
    assert [str(path) for service in result.services for path in inside(service)] == [
        f"/conf/{name}" for name in ("src/w.py", "src", "sql", "logo.png", "public", "files")
    ]
    https = result.sockets[0].https
    assert https is not None
    assert result.admin is not None
    pair = https.certificates[0]
    assert {str(path) for path in (pair.cert, pair.key, https.client_ca, result.admin.tokens)} == {
        f"/anywhere/{name}" for name in ("a.pem", "a.key", "ca.pem", "tokens")
    }
    assert str(result.state_dir) == "/beside/state"


def test_certificates_that_the_server_writes_are_beside_the_file() -> None:
    acme = TEXT.replace("client_ca", 'acme = { hosts = ["a.example"], agree_to_terms = true }, client_ca')
    config = parse_toml(acme, Place(Path("/conf/config.toml")))
    result = moved(config, lambda path, *_: Path("/beside") / path.name, lambda _: Path("/anywhere"))
    https = result.sockets[0].https
    assert https is not None
    assert (str(https.certificates[0].cert), str(https.certificates[0].key)) == (
        "/beside/a.pem",
        "/beside/a.key",
    )


def test_names() -> None:
    assert place_of("shop", "code") == "services/shop/code"
    assert place_of("shop", "data", "LOGO") == "services/shop/data/LOGO"


def test_every_path_that_a_model_can_have_outside_of_its_services_is_moved() -> None:
    """Who adds one says in `moved` where it is: inside of the archive, beside the file, or anywhere."""
    known = {("Config", "state_dir"), ("Admin", "tokens"), ("Certificate", "cert"), ("Certificate", "key")}
    known |= {("Https", "client_ca"), ("Extension", "content")}
    services = {"Worker", "Disk", "Assets", "Binding", "Module", "Place", "Places"}
    found = {
        (name, each.name)
        for name, kind in vars(model).items()
        if dataclasses.is_dataclass(kind) and name not in services
        for each in dataclasses.fields(kind)
        if re.search(r"\bPath\b", str(each.type))
    }
    assert found == known


def test_folders_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.compiled.layout.MAX_ENTRIES", 4)
    assert not has_many_folders(["a", "services/a/b/", "services/a/c/x", "services/a/c/y", "services/a/b/z"])
    assert has_many_folders(["services/a/b/c/d/x"])
