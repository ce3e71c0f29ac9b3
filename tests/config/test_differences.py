"""What one model says and another does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import Binding, Config, Worker, parse_toml
from pyworkerd_config.differences import differences

from tests.config.models import CONFIGS, PLACE

CONF = Path("conf")
TEXT = """\
[[sockets]]
name = "http"
address = "127.0.0.1:8787"
[[stores]]
kv = "cache"
workers = ["a", "b"]
[[queues]]
name = "jobs"
producers = ["a", "b"]
[[services]]
name = "a"
routes = ["/a", "/*"]
[services.worker]
main = "a.py"
limits = { cpu_ms = 20 }
durable_objects = [{ class_name = "Room", idle_ms = 5 }]
[services.worker.bindings]
GREETING = { text = "hello" }
CACHE = { kv = "cache" }
[[services]]
name = "b"
disk = { path = "files" }
"""


def read(text: str) -> Config:
    return parse_toml(text, PLACE)


def test_order_means_nothing() -> None:
    config = read(TEXT)
    services = tuple(replace(each, routes=each.routes[::-1]) for each in config.services[::-1])
    again = replace(config, services=services, stores=config.stores[::-1])
    assert list(differences(config, again, CONF)) == []


@given(CONFIGS.filter(lambda config: len({each.name for each in config.services}) == len(config.services)))
def test_a_model_is_like_itself_alone(config: Config) -> None:
    assert list(differences(config, config, CONF)) == []
    assert list(differences(config, replace(config, state_dir=Path("elsewhere")), CONF)) != []


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        ("cpu_ms = 20", "cpu_ms = 30", "services.a.worker.limits.cpu_ms is 20, and would be 30"),
        ("8787", "8788", 'sockets.0.address is "127.0.0.1:8787", and would be "127.0.0.1:8788"'),
        ('kv = "cache"\nworkers', 'kv = "other"\nworkers',
         'stores.kv.cache is {"kv": "cache", "workers": ["a", "b"]}, and would be left out'),
        ('"a", "b"]\n[[queues', '"b"]\n[[queues', 'stores.kv.cache.workers is ["a", "b"], and would be ["b"]'),
        ('disk = { path = "files" }', "network = {}",
         'services.b.disk is {"path": "files"}, and would be left out'),
        ("idle_ms = 5", "idle_ms = 6", "services.a.worker.durable_objects.Room.idle_ms is 5, and would be 6"),
        ("hello", "\x1b[2J" + "x" * 999, 'GREETING is {"text": "hello"}, and would be {"text": "\\u001b[2Jxxx'),
        ("", 'deploy = "lazy"\n', 'deploy is not said, and would be "lazy"'),
    ],
)  # fmt: skip
def test_each_difference_is_a_phrase(old: str, new: str, phrase: str) -> None:
    changed = read(TEXT.replace(old, new.replace("\x1b", "\\u001b"), 1) if old else new + TEXT)
    told = list(differences(read(TEXT), changed, CONF))
    assert phrase in told[0]
    assert all(len(each) < 300 for each in told)
    assert len(told) == (2 if "other" in new or "network" in new else 1)


@given(st.text(min_size=1))
def test_what_is_told_can_be_printed(name: str) -> None:
    config = read(TEXT)
    service = config.services[0]
    assert isinstance(service.kind, Worker)
    worker = replace(service.kind, bindings=(Binding(name, "text", "\x1b"),))
    without = replace(config, services=(replace(service, kind=worker), *config.services[1:]))
    for phrase in differences(without, config, CONF):
        assert phrase.isprintable()
