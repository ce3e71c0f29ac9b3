"""A worker's top level is run once, and what it leaves is in every isolate."""

from __future__ import annotations

import pytest

HEAD = "from workers import Response, WorkerEntrypoint\n"


def test_the_top_level_is_run_once_and_its_state_is_each_isolates_own(start, sandbox):
    source = (
        HEAD
        + "STATE = [len(__name__)]\nprint('top level')\n"
        + (
            "class Default(WorkerEntrypoint):\n"
            "    async def fetch(self):\n        STATE.append(1)\n        return Response.json(STATE)\n"
        )
    )
    first, second = start(source), start(source)
    assert first.fetch().json == [6, 1]
    assert first.fetch().json == [6, 1, 1]
    assert second.fetch().json == [6, 1]
    assert first.logs == []
    assert [text for _, _, text in first.isolate.image.logs] == ["top level"]


def test_an_entrypoint_may_come_from_another_module(start):
    files = {
        "worker.py": "from shop.api import Default\n",
        "shop/__init__.py": "",
        "shop/api.py": HEAD
        + "class Default(WorkerEntrypoint):\n    async def fetch(self): return Response(__name__)\n",
    }
    driver = start(files)
    assert driver.fetch().text == "shop.api"


def test_the_main_module_may_lie_deeper(sandbox, start):
    files = {
        "src/worker.py": HEAD + "from . import helper\nclass Default(WorkerEntrypoint):\n"
        "    async def fetch(self): return Response(helper.NAME)\n",
        "src/helper.py": "NAME = __name__\n",
    }
    assert start(sandbox.image(files, "src/worker.py")).fetch().text == "src.helper"


def test_handlers_are_reported_for_each_entrypoint(sandbox):
    source = HEAD + (
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self): pass\n    async def scheduled(self): pass\n    async def queue(self, batch): pass\n"
        "class Other(Default):\n    async def alarm(self): pass\n    tail = None\n"
    )
    assert sandbox.image(source).handlers == {
        "": ("fetch", "queue", "scheduled"),
        "Other": ("alarm", "fetch", "queue", "scheduled"),
    }


@pytest.mark.parametrize(
    ("source", "handlers"),
    [
        ("def test(controller): pass", {"": ("test",)}),
        ("def on_fetch(request): pass\ndef test(): pass", {"": ("fetch", "test")}),
        ("class Default(WorkerEntrypoint):\n    def fetch(self): pass\ndef test(): pass", {"": ("fetch",)}),
        ("class A(WorkerEntrypoint):\n    def test(self): pass\ntest = print", {"A": ("test",)}),
    ],
)
def test_a_global_test_handler_is_one_where_nothing_else_is_exported_by_default(sandbox, source, handlers):
    """It has no prefix, so it is a handler only if it is a function of the module's own."""
    assert sandbox.image(HEAD + source).handlers == handlers


def test_a_handler_that_takes_a_worker_by_surprise(sandbox):
    """Anything callable counts as a handler; what cannot be looked into is found out when it is called."""
    source = HEAD + "class Default(WorkerEntrypoint):\n    fetch = Response\n"
    assert sandbox.image(source).handlers == {"": ("fetch",)}
