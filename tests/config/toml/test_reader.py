"""A whole configuration, what is implied, and what the reader leaves to others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import (
    Admin,
    Assets,
    Binding,
    Config,
    ConfigError,
    Disk,
    External,
    Limits,
    Network,
    Place,
    Processes,
    Service,
    Socket,
    Worker,
    check,
    parse_toml,
    to_toml,
)

PLACE = Place(Path("conf/config.toml"))

WHOLE = """
state_dir = "state"
deploy = "lazy"
admin = "127.0.0.1:9090"
processes = { count = 4, hang_s = 5 }

[[sockets]]
name = "http"
address = "127.0.0.1:8787"
service = "shop"

[[services]]
name = "shop"
routes = ["/api/*", "shop.example.com/*"]
[services.worker]
main = "src/shop.py"
compatibility_date = 2026-11-01
compatibility_flags = ["a"]
limits = { cpu_ms = 20, memory_mb = 64 }
reuse = "request"
global_outbound = false
[services.worker.bindings]
GREETING = { text = "hello" }
SETTINGS = { json = { currency = "EUR", rates = [1, 2.5, true] } }
LOGO     = { data = "aGk=" }
ICON     = { data = { file = "icon.png" } }
HOME     = { environment = "HOME" }
TOKEN    = { secret = "TOKEN" }
AUTH     = { service = "auth", entrypoint = "Admin", props = { level = 1 } }
LIMITER  = { rate_limit = { limit = 100, period = 60 } }
HI       = { hello = "greeting" }

[[services]]
name = "auth"
external = { address = "127.0.0.1:9000", https = true, certificate_host = "auth.example.com" }

[[services]]
name = "internet"
network = { allow = ["public", "10.0.0.0/8"], deny = ["10.1.0.0/16"] }
"""


def worker_of(config: Config) -> Worker:
    worker = config.services[0].kind
    assert isinstance(worker, Worker)
    return worker


def test_a_whole_configuration() -> None:
    config = parse_toml(WHOLE, PLACE)
    worker = Worker(
        main=Path("conf/src/shop.py"),
        root=Path("conf/src"),
        compatibility_date="2026-11-01",
        compatibility_flags=("a",),
        limits=Limits(cpu_ms=20, memory_mb=64),
        reuse="request",
        global_outbound=None,
        bindings=(
            Binding("GREETING", "text", "hello"),
            Binding("SETTINGS", "json", {"currency": "EUR", "rates": [1, 2.5, True]}),
            Binding("LOGO", "data", b"hi"),
            Binding("ICON", "data", Path("conf/icon.png")),
            Binding("HOME", "environment", "HOME"),
            Binding("TOKEN", "secret", "TOKEN"),
            Binding("AUTH", "service", "auth", {"entrypoint": "Admin", "props": {"level": 1}}),
            Binding("LIMITER", "rate_limit", {"limit": 100, "period": 60}),
            Binding("HI", "hello", "greeting"),
        ),
    )
    assert config == Config(
        admin=Admin("127.0.0.1:9090"),
        processes=Processes(count=4, hang_s=5),
        sockets=(Socket("http", "127.0.0.1:8787", "shop"),),
        services=(
            Service("shop", worker, ("/api/*", "shop.example.com/*")),
            Service("auth", External("127.0.0.1:9000", https=True, certificate_host="auth.example.com")),
            Service("internet", Network(("public", "10.0.0.0/8"), ("10.1.0.0/16",))),
        ),
        state_dir=Path("conf/state"),
        deploy="lazy",
    )
    assert check(config) == []


def test_a_folder_is_a_service() -> None:
    text = '[[services]]\nname = "files"\ndisk = { path = "public", writable = true, allow_dotfiles = true }'
    config = parse_toml(text, PLACE)
    folder = PLACE.file.parent if PLACE.file else Path()
    assert config.services[0].kind == Disk(folder / "public", writable=True, allow_dotfiles=True)
    assert parse_toml(to_toml(config), PLACE) == config


def test_assets_of_a_worker() -> None:
    text = """
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
assets = { directory = "public", binding = "ASSETS", html_handling = "none", run_worker_first = ["/api/*", "!/api/x"] }
"""
    config = parse_toml(text, PLACE)
    assert worker_of(config).assets == Assets(
        Path("conf/public"), "ASSETS", "none", run_worker_first=("/api/*", "!/api/x")
    )
    assert check(config) == []
    assert parse_toml(to_toml(config), PLACE) == config
    always = parse_toml(text.replace('["/api/*", "!/api/x"]', "true"), PLACE)
    assert worker_of(always).assets == Assets(Path("conf/public"), "ASSETS", "none", run_worker_first=True)
    assert parse_toml(to_toml(always), PLACE) == always


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{ }", '"assets" needs "directory"|assets needs "directory"'),
        ('{ directory = "x", html_handling = "some" }', '"html_handling" must be'),
        ('{ directory = "x", run_worker_first = 1 }', "true, false or a list of texts"),
        ('{ directory = "x", binding = "no-name" }', '"no-name" cannot be the name of a binding'),
        ('{ directory = "x", binding = "TEXT" }', 'two bindings are named "TEXT"'),
    ],
)
def test_assets_that_are_wrong(written: str, message: str) -> None:
    text = f"""
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
bindings = {{ TEXT = {{ text = "x" }} }}
assets = {written}
"""
    try:
        found = "\n".join(map(str, check(parse_toml(text, PLACE))))
    except ConfigError as error:
        found = str(error)
    assert re.search(message, found)
    assert "config.toml:7" in found


def test_every_entry_knows_its_line() -> None:
    config = parse_toml(WHOLE, PLACE)
    assert [service.place.line for service in config.services] == [12, 33, 37]
    assert config.services[0].places.at("worker", "limits", "cpu_ms").line == 19
    assert worker_of(config).bindings[2].place.line == 25


def test_an_empty_file_is_the_internet_alone() -> None:
    assert parse_toml("", PLACE) == Config(
        services=(Service("internet", Network()),), state_dir=Path("conf/.pyworkerd")
    )


def test_without_a_file_paths_are_relative_to_nothing() -> None:
    assert parse_toml("", Place()).state_dir == Path(".pyworkerd")


@pytest.mark.parametrize("text", ['[[services]]\nname = "shop"', '[[services]]\nname = "shop"\nworker = {}'])
def test_a_service_without_program_is_found_by_convention(text: str) -> None:
    index = Path("conf/shop/index.py")
    worker = worker_of(parse_toml(text, PLACE, is_file=lambda path: path == index))
    assert (worker.main, worker.root) == (index, Path("conf/shop"))


def test_all_problems_are_told_together_in_the_order_of_the_file() -> None:
    text = "x = 1\n[[sockets]]\nname = 2\nz = 1\n[[services]]\n[services.worker]\nmain = 1\n"
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, PLACE)
    assert [problem.place.line for problem in caught.value.problems] == [1, 2, 3, 4, 5, 7]


LINES = st.sampled_from(
    [
        "[[sockets]]",
        "[[services]]",
        "[services]",
        "[services.worker]",
        "[services.worker.limits]",
        "[services.worker.bindings]",
        "[services.network]",
        'name = "a"',
        "name = 1",
        "routes = [1, '/x']",
        "address = {}",
        "main = []",
        "cpu_ms = 0x7fffffffffffffff",
        "X = { text = 1 }",
        "X.service = 'a'",
        "bindings = 1",
        "limits = { cpu_ms = inf }",
        "network = { allow = [[]] }",
        "external.address = 1979-05-27",
        "worker = [{}]",
        "reuse = {}",
        "= ]",
    ]
)


@given(st.lists(LINES, max_size=12))
def test_any_mixture_of_lines_gives_a_model_or_a_config_error(lines: list[str]) -> None:
    try:
        config = parse_toml("\n".join(lines), PLACE)
    except ConfigError:
        return
    assert all(problem.place.file == PLACE.file for problem in check(config))


def test_ten_thousand_services_are_read() -> None:
    config = parse_toml('[[services]]\nname="a"\n' * 10_000, PLACE)
    assert len(config.services) == 10_001
    assert str(check(config)[0]).startswith('conf/config.toml:4: two services are named "a"')


def test_the_package_imports_no_loop_no_socket_and_no_sibling() -> None:
    code = (
        "import sys, pyworkerd_config;"
        "print({'asyncio', 'socket', 'pyworkerd', 'pyworkerd_isolates'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
