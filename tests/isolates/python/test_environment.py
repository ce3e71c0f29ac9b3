"""`env` and `ctx`: values and capabilities by name, each isolate's own, fixed from the outside."""

from __future__ import annotations

import pytest
from pyworkerd_isolates import wire

WORKER = """
from datetime import datetime
from workers import Response, WorkerEntrypoint, env, patch_env

def patched():
    with patch_env({"TOKEN": "x"}, NEW="y"):
        inside = [env.TOKEN, env.NEW]
    return [*inside, env.TOKEN]

class Default(WorkerEntrypoint):
    async def look(self, code):
        value = eval(code)
        return await value if hasattr(value, "__await__") else value
"""
SETTINGS = {"currency": "EUR", "limits": [1, 2.5, None, True], "raw": b"\x00\xff"}
BINDINGS = [
    ("SETTINGS", "value", wire.dump_value(SETTINGS)),
    ("TOKEN", "value", wire.dump_value("hunter2")),
    ("OTHER", "fetcher", 1),
]
LOOKS = {
    "self.env.SETTINGS": SETTINGS,
    "env.TOKEN": "hunter2",
    "env is self.env": True,
    "env['TOKEN']": "hunter2",
    "sorted(env)": ["OTHER", "SETTINGS", "TOKEN"],
    "'TOKEN' in env and 'ABSENT' not in env": True,
    "repr(env)": "<env OTHER SETTINGS TOKEN>",
    "getattr(env, 'ABSENT', 'default')": "default",
    "type(env.OTHER).__name__": "Fetcher",
    "hasattr(self.ctx, 'waitUntil') and hasattr(self.ctx, 'wait_until')": True,
    "self.ctx.props": None,
    "patched()": ["x", "y", "hunter2"],
}


@pytest.mark.parametrize("code", LOOKS)
def test_looking_at_env(start, code):
    assert start(WORKER, bindings=BINDINGS).call("look", code).value == LOOKS[code]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("env.ABSENT", "this worker has no binding named 'ABSENT'"),
        ("env['ABSENT']", "no binding named 'ABSENT'"),
    ],
)
def test_a_binding_that_is_not_there(start, code, message):
    assert message in start(WORKER, bindings=BINDINGS).call("look", code).failure.message


def test_a_secret_is_not_shown_by_env(start):
    assert "hunter2" not in start(WORKER, bindings=BINDINGS).call("look", "repr(env) + str(env)").value


def test_each_isolate_has_its_own_env(start):
    driver = start(WORKER, bindings=BINDINGS)
    other = start(WORKER, bindings=[("TOKEN", "value", wire.dump_value("other"))])
    driver.call("look", "setattr(env, 'TOKEN', 'changed')")
    assert driver.call("look", "env.TOKEN").value == "changed"
    assert other.call("look", "sorted(env)").value == ["TOKEN"]
    assert other.call("look", "env.TOKEN").value == "other"


def test_the_processs_environment_is_not_there(start):
    driver = start(WORKER)
    assert driver.call("look", "dict(__import__('os').environ)").value == {}
    assert driver.call("look", "__import__('os').getenv('PATH')").value is None
    assert driver.call("look", "__import__('sys').argv").value in ([], [""])
