"""The model in workerd's dialect: what is written means the same to the reader, and to pycapnp."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from pyworkerd_config import ConfigError, Module, Place, Worker, load, parse_toml
from pyworkerd_config.dialects import print_as
from pyworkerd_config.differences import differences
from pyworkerd_config.load import _read_workerd
from pyworkerd_config.problems import ProblemList
from pyworkerd_config.workerd.writer import as_workerd_says, listed_kind

from tests.config.models import WORKERD_CONFIGS
from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from pyworkerd_config import Config
    from pyworkerd_config.dialects import Printed

CONF = Path("conf")


@settings(max_examples=40)
@given(WORKERD_CONFIGS)
def test_what_workerd_can_say_is_not_lost(config: Config) -> None:
    (file,) = (printed := print_as("config.capnp", config, CONF)).files
    assert printed.lost == ()
    assert all(char.isprintable() or char == "\n" for char in file.text)


@settings(max_examples=6)
@given(WORKERD_CONFIGS)
def test_pycapnp_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, config: Config) -> None:
    with contextlib.chdir(tmp_path_factory.mktemp("written")):
        path = CONF / "config.capnp"
        path.parent.mkdir()
        path.write_text(print_as("config.capnp", config, CONF).files[0].text)
        for name in re.findall(r'embed "(.*?)"', path.read_text()):
            try:
                (CONF / name).parent.mkdir(parents=True, exist_ok=True)
                (CONF / name).touch()
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                assume(False)
        problems = ProblemList()
        again = _read_workerd(path, problems, None, binary=False)
        assert problems.found == []
        assert list(differences(as_workerd_says(config, CONF), again, CONF)) == []


@pytest.mark.parametrize("name", ["services", "chat-object", "typescript"])
def test_examples_are_loaded_as_they_are_written(tmp_path: Path, name: str) -> None:
    ignored = shutil.ignore_patterns(".pyworkerd")
    folder = shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=ignored)
    config = load(folder / "config.toml")
    printed = print_as("config.capnp", config, folder)
    (folder / "config.capnp").write_text(printed.files[0].text)
    again = load(folder / "config.capnp")
    assert tuple(differences(as_workerd_says(config, folder), again, folder)) == printed.lost


SHOP = """\
[[sockets]]
name = "http"
address = "127.0.0.1:8787"
[[services]]
name = "shop"
routes = ["/*"]
[services.worker]
main = "src/shop.ts"
global_outbound = false
[services.worker.bindings]
GREETING = { text = "say \\"\\u009b\\\\\\"" }
TOKEN = { secret = "TOKEN" }
LOGO = { data = "AP8=" }
ROOM = { durable_object = "Room" }
CACHE = { kv = "cache" }
"""


def written(text: str, folder: Path = CONF) -> Printed:
    return print_as("config.capnp", parse_toml(text, Place(CONF / "config.toml")), folder)


def test_the_text_is_what_people_write_and_what_is_lost_is_told() -> None:
    printed = written(SHOP)
    assert (
        printed.files[0].text
        == """\
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "shop", worker = .worker0),
    (
      name = "no-network",
      network = (allow = [], tlsOptions = (trustBrowserCas = true)),
    ),
    (name = "durable-objects", disk = (path = "conf/.pyworkerd", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "shop")],
);

const worker0 :Workerd.Worker = (
  modules = [(name = "shop.ts", esModule = embed "src/shop.ts")],
  compatibilityFlags = ["typescript_strip_types"],
  bindings = [
    (name = "GREETING", text = "say \\"\\xc2\\x9b\\\\\\""),
    (name = "TOKEN", fromEnvironment = "TOKEN"),
    (name = "LOGO", data = 0x"00 ff"),
    (name = "ROOM", durableObjectNamespace = (className = "Room")),
  ],
  globalOutbound = "no-network",
  durableObjectNamespaces = [(className = "Room", uniqueKey = "shop-Room", enableSql = true)],
  durableObjectStorage = (localDisk = "durable-objects"),
);
"""
    )
    assert printed.lost == (
        'services.shop.worker.bindings.TOKEN is {"secret": "TOKEN"}, and would be {"environment": "TOKEN"}',
        'services.shop.worker.bindings.CACHE is {"kv": "cache"}, and would be left out',
    )


def test_the_files_of_a_program_are_listed() -> None:
    def modules(_service: str, worker: Worker) -> tuple[Module, ...]:
        names = ("shop.ts", "lib/prices.mjs", "old.cjs", "motto.txt", "a.json", "b.bin")
        return tuple(Module(name, listed_kind(name), worker.root / name) for name in names)

    config = parse_toml(SHOP, Place(CONF / "config.toml"))
    text = print_as("config.capnp", config, CONF, modules=modules).files[0].text
    assert [line.strip().removesuffix(",") for line in text.splitlines() if "embed" in line] == [
        '(name = "shop.ts", esModule = embed "src/shop.ts")',
        '(name = "lib/prices.mjs", esModule = embed "src/lib/prices.mjs")',
        '(name = "old.cjs", commonJsModule = embed "src/old.cjs")',
        '(name = "motto.txt", text = embed "src/motto.txt")',
        '(name = "a.json", json = embed "src/a.json")',
        '(name = "b.bin", data = embed "src/b.bin")',
    ]


def test_files_outside_of_the_folder_cannot_be_embedded() -> None:
    with pytest.raises(ConfigError, match="embeds no file from outside of its folder: name a folder above"):
        written(SHOP, Path("out"))


def test_where_requests_go_by_routes_the_socket_is_lost() -> None:
    two = SHOP.replace('"/*"', '"/a", "/b"')
    lost = written(two).lost
    assert lost[0].startswith('sockets.0 is {"name": "http"')
    assert 'services.shop.routes is ["/a", "/b"], and would be left out' in lost


def test_names_that_are_taken_are_not_taken_again() -> None:
    text = written(f'{SHOP}[[services]]\nname = "no-network"\nnetwork = {{}}\n').files[0].text
    assert 'globalOutbound = "no-network-"' in text


def test_extensions_and_what_they_wrap(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("""
[[extensions]]
name = "shop:kitchen"
internal = true
file = "kitchen.js"
[[services]]
name = "w"
[services.worker]
modules = [{ name = "w.js", text = "export default {}" }]
bindings = { TEA = { wrapped = "shop:kitchen", entrypoint = "tea", bindings = { HOT = { json = [1] } } } }
""")
    (tmp_path / "kitchen.js").write_text("export function tea() {}")
    config = load(tmp_path / "config.toml")
    printed = print_as("config.capnp", config, tmp_path)
    (tmp_path / "config.capnp").write_text(printed.files[0].text)
    assert printed.lost == ()
    assert list(differences(config, load(tmp_path / "config.capnp"), tmp_path)) == []


def test_no_text_stands_for_a_file() -> None:
    bindings = '\n[services.worker.bindings]\nA = { text = "\\u0000embedded 0" }\n'
    text = '[[services]]\nname = "w"\n[services.worker]\nmain = "w.js"' + bindings
    printed = written(text)
    assert printed.lost == ()
    assert '(name = "A", text = "\\x00embedded 0")' in printed.files[0].text
