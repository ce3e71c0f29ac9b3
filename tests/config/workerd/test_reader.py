"""workerd's configurations as models: what each field becomes, and what is said of those that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyworkerd_config import (
    Binding,
    Certificate,
    ConfigError,
    Disk,
    External,
    Https,
    Module,
    Network,
    Socket,
    Worker,
    WorkerdOptions,
    load,
    parse_toml,
    to_toml,
)
from pyworkerd_config.model import ObjectClass, Place
from pyworkerd_config.workerd.reader import with_port

from tests.config.workerd.corpus import DATA, complaints, read, write

if TYPE_CHECKING:
    from pyworkerd_config import Config

CASES = (DATA / "problems.txt").read_text().split("=== case\n")[1:]


def worker_of(config: Config, name: str) -> Worker:
    kind = next(service.kind for service in config.services if service.name == name)
    assert isinstance(kind, Worker)
    return kind


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.partition("---\n")[2].partition("\n")[0][:40])
def test_what_is_wrong_is_said_with_its_line_and_what_to_write(case: str, tmp_path: Path) -> None:
    text, _, expected = case.partition("---\n")
    assert complaints(tmp_path, text.rstrip("\n")) == expected.splitlines()


def test_sockets_networks_servers_and_disks(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (
  services = [
    (name = "main", worker = .w),
    (name = "internet", network = (allow = [], deny = ["192.0.2.0/24"])),
    (name = "open", network = (tlsOptions = (trustBrowserCas = true))),
    (name = "back", external = "127.0.0.1:9000"),
    (name = "api", external = (address = "api.example.com", https = (
      tlsOptions = (trustBrowserCas = true), certificateHost = "example.com"))),
    (name = "files", disk = (path = "content", writable = true, allowDotfiles = true)),
  ],
  sockets = [
    (name = "http", address = "*:8080", http = (), service = "main"),
    (name = "proxied", address = "unix:/run/w", http = (forwardedProtoHeader = "X-Forwarded-Proto"), service = "api"),
    (name = "bare", address = "::1", service = (name = "main", entrypoint = "E", props = (json = "[1]"))),
  ],
  v8Flags = ["--expose-gc"], autogates = ["gate"], logging = (structuredLogging = true),
);""",
    )
    everybody = ("0.0.0.0/0", "::/0", "unix")
    assert config.sockets == (
        Socket("http", "*:8080", "main"),
        Socket("proxied", "unix:/run/w", "api", trusted=everybody, forwarded=("x-forwarded-proto",)),
        Socket("bare", "[::1]:80", "main", entrypoint="E", props=[1]),
    )
    kinds = {service.name: service.kind for service in config.services}
    assert kinds["internet"] == Network((), ("192.0.2.0/24",))
    assert kinds["open"] == Network(("public",))
    assert kinds["back"] == External("127.0.0.1:9000")
    assert kinds["api"] == External("api.example.com:443", True, "example.com")
    assert kinds["files"] == Disk(Path("content"), True, True)
    assert [warning.message for warning in config.warnings] == [
        '"Config.v8Flags" means nothing here',
        '"Config.autogates" means nothing here',
        '"LoggingOptions.structuredLogging" means nothing here',
    ]
    assert config.services[0].place.line == 4
    assert config.sockets[1].place.line == 14


def test_modules_of_every_kind(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (services = [
  (name = "js", worker = .js), (name = "py", worker = .py), (name = "old", worker = .old), (name = "ts", worker = .ts),
]);
const js :W.Worker = (compatibilityDate = "2025-01-01", compatibilityFlags = ["nodejs_compat"], modules = [
  (name = "worker", esModule = embed "worker.js"),
  (name = "./lib/old", commonJsModule = "exports.a = 1", namedExports = ["a"]),
  (name = "page.html", text = "<p>"), (name = "b", data = 0x"00 ff"), (name = "j.json", json = "{}"),
]);
const py :W.Worker = (modules = [(name = "worker", pythonModule = "x = 1"), (name = "lib/util.py", pythonModule = "")]);
const old :W.Worker = (serviceWorkerScript = embed "worker.js");
const ts :W.Worker = (compatibilityFlags = ["typescript_strip_types"],
  modules = [(name = "worker", esModule = embed "w.ts")]);""",
        worker__js="export default {}",
        w__ts="export default {}",
    )
    js = worker_of(config, "js")
    assert js.modules == (
        Module("worker.js", "code", tmp_path / "worker.js"),
        Module("lib/old.js", "common", "exports.a = 1"),
        Module("page.html", "text", "<p>"),
        Module("b", "data", b"\x00\xff"),
        Module("j.json", "json", "{}"),
    )
    assert js.compatibility_date == "2025-01-01"
    assert js.compatibility_flags == ("nodejs_compat",)
    assert js.main == tmp_path / "worker.js"
    assert [module.name for module in worker_of(config, "py").modules] == ["worker.py", "lib/util.py"]
    assert worker_of(config, "old").modules == (Module("worker.js", "code", tmp_path / "worker.js"),)
    assert worker_of(config, "ts").modules == (Module("worker.ts", "code", tmp_path / "w.ts"),)


def test_bindings(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (services = [(name = "main", worker = (
  modules = [(name = "w", esModule = "")],
  globalOutbound = (name = "main"),
  tails = ["main"],
  bindings = [
    (name = "text", text = embed "t.txt"), (name = "data", data = embed "t.txt"), (name = "bytes", data = "hi"),
    (name = "json", json = embed "j.json"), (name = "null", json = "null"),
    (name = "self", service = (name = "main", entrypoint = "Admin", props = (json = "{\\"a\\": [1]}"))),
    (name = "room", durableObjectNamespace = "Room"),
    (name = "other", durableObjectNamespace = (className = "Room", serviceName = "main")),
    (name = "home", fromEnvironment = "HOME"), (name = "loader", workerLoader = (id = "x")),
  ],
  durableObjectNamespaces = [(className = "Room", uniqueKey = "k", preventEviction = true, enableSql = true)],
  durableObjectStorage = (inMemory = void),
))]);""",
        t__txt="text é",
        j__json='{"a": 1}',
    )
    main = worker_of(config, "main")
    assert main.bindings == (
        Binding("text", "text", "text é"),
        Binding("data", "data", tmp_path / "t.txt"),
        Binding("bytes", "data", b"hi"),
        Binding("json", "json", {"a": 1}),
        Binding("null", "json", None),
        Binding("self", "service", "main", {"entrypoint": "Admin", "props": {"a": [1]}}),
        Binding("room", "durable_object", "Room"),
        Binding("other", "durable_object", "Room", {"service_name": "main"}),
        Binding("home", "environment", "HOME"),
        Binding("loader", "worker_loader", {}),
    )
    assert main.global_outbound == "main"
    assert main.tails == ("main",)
    assert main.durable_objects == (ObjectClass("Room", "k", prevent_eviction=True),)
    assert config.state_dir == tmp_path / ".pyworkerd"


def test_a_worker_inherits_and_fills_in_parameters(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (services = [
  (name = "abstract", worker = (
    modules = [(name = "w", esModule = "")], compatibilityDate = "2025-01-01", globalOutbound = "net",
    bindings = [(name = "a", text = "1"), (name = "b", parameter = (type = (text = void))),
                (name = "o", parameter = (type = (json = void), optional = true))],
    durableObjectNamespaces = [(className = "Room", uniqueKey = "k")])),
  (name = "one", worker = (inherit = "abstract", bindings = [(name = "b", text = "2")],
    durableObjectUniqueKeyModifier = "one", durableObjectStorage = (localDisk = "disk"))),
  (name = "two", worker = (inherit = "one", bindings = [(name = "a", text = "3")], globalOutbound = "one",
    durableObjectUniqueKeyModifier = "two", durableObjectStorage = (localDisk = "disk"))),
  (name = "net", network = ()), (name = "disk", disk = "objects"),
]);""",
    )
    assert [service.name for service in config.services] == ["one", "two", "net", "disk", "internet"]
    one, two = worker_of(config, "one"), worker_of(config, "two")
    assert one.bindings == (Binding("a", "text", "1"), Binding("b", "text", "2"))
    assert two.bindings == (Binding("a", "text", "3"), Binding("b", "text", "2"))
    assert (one.global_outbound, two.global_outbound) == ("net", "one")
    assert one.compatibility_date == two.compatibility_date == "2025-01-01"
    keys = {one.durable_objects[0].unique_key, two.durable_objects[0].unique_key, "k"}
    assert len(keys) == 3
    assert config.state_dir == Path("objects")


def test_wrong_bindings_of_workers_that_inherit(tmp_path: Path) -> None:
    text = """const c :W.Config = (services = [
  (name = "main", worker = (modules = [(name = "w", esModule = "x")], bindings = [
    (name = "a", text = "1"), (name = "broken", json = "{"), (name = "nowhere", service = ""),
    (name = "kind", parameter = ()),
  ])),
  (name = "clone", worker = (inherit = "main", bindings = [(name = "aa", text = "1"), (name = "a", json = "1")])),
]);"""
    assert complaints(tmp_path, text) == [
        (
            '4: "json" is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1): write '
            'for example "{\\"currency\\": \\"EUR\\"}"'
        ),
        '4: the binding names no service: write service = "auth"',
        "5: the parameter has no type: write parameter = (type = (text = void))",
        '7: the worker that is inherited has no binding "aa": did you mean "a"?',
        '7: the binding "a" is of another type where it is inherited from: write one of the type text',
    ]


def test_tls_of_a_socket_are_files(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (services = [(name = "main", worker = .w)], sockets = [
  (name = "s", address = "*:8443", service = "main", https = (options = (), tlsOptions = (
    keypair = (privateKey = embed "key.pem", certificateChain = embed "cert.pem"),
    requireClientCerts = true, trustedCertificates = [embed "ca.pem"], minVersion = tls1Dot3))),
]);""",
        key__pem="k",
        cert__pem="c",
        ca__pem="a",
    )
    pair = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert config.sockets[0].https == Https((pair,), "1.3", tmp_path / "ca.pem")


def test_the_command_line_says_more(tmp_path: Path) -> None:
    text = """const one :W.Config = (services = [(name = "main", worker = .w), (name = "d", disk = ()),
  (name = "e", external = (http = ()))], sockets = [(name = "s", http = (), service = "main")]);
const two :W.Config = ();
struct Scope { const three :W.Config = (services = [(name = "three", worker = .w)]); }"""
    options = WorkerdOptions(
        "one", sockets={"s": "127.0.0.1:1"}, externals={"e": "a:1"}, directories={"d": Path("x")}
    )
    config = read(tmp_path, text, options)
    assert config.sockets == (Socket("s", "127.0.0.1:1", "main"),)
    assert {service.name: service.kind for service in config.services}["d"] == Disk(Path("x"))
    assert read(tmp_path, text, WorkerdOptions("Scope.three")).services[0].name == "three"
    assert complaints(tmp_path, text, WorkerdOptions("four")) == [
        "there is no constant 'four' in the file: there are: one, two"
    ]
    unknown = WorkerdOptions("two", directories={"x": Path("y")})
    assert complaints(tmp_path, text, unknown) == [
        "4: --directory-path x: the configuration has none of this name: there are none"
    ]


def test_only_workerd_has_such_options(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match="only workerd's configuration has a constant to be named"):
        load(path, workerd=WorkerdOptions("one"))
    with pytest.raises(ConfigError, match="only a Wrangler file has environments"):
        load(write(tmp_path, "const c :W.Config = ();"), environment="production")


def test_the_model_goes_through_config_toml(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """const c :W.Config = (services = [(name = "main", worker = (modules = [
  (name = "worker", esModule = embed "worker.js"), (name = "t", text = "t"), (name = "d", data = "d"),
  (name = "c", commonJsModule = "")]))],
  sockets = [(name = "s", address = "*:1", service = "main")]);""",
        worker__js="",
    )
    again = parse_toml(to_toml(config), Place(tmp_path / "config.toml"))
    assert again == config


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("1.2.3.4", "1.2.3.4:80"),
        ("*", "*:80"),
        ("example.com:8080", "example.com:8080"),
        ("1234:5678::abcd", "[1234:5678::abcd]:80"),
        ("[::1]", "[::1]:80"),
        ("[::1]:8080", "[::1]:8080"),
        ("unix:/run/x", "unix:/run/x"),
    ],
)
def test_an_address_without_a_port_has_its_protocols(address: str, expected: str) -> None:
    assert with_port(address, 80) == expected
