"""`pyworkerd kv`: look into a worker's KV store, and change it, also while the server runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .stores import add_binding, cell, read_file, say, store_of, with_runtime

if TYPE_CHECKING:
    import argparse

    from pyworkerd.bindings.kv.handle import KV
    from pyworkerd.runtime import Runtime


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd kv list config.toml shop CACHE --prefix user:"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print keys, with their expiration")
    getting = verbs.add_parser("get", help="print a value as it is; exit status 1 if there is none")
    putting = verbs.add_parser("put", help="write a value")
    deleting = verbs.add_parser("delete", help="remove a key")
    for sub in (listing, getting, putting, deleting):
        add_binding(sub, "store")
    listing.add_argument("--prefix", default="", help="only keys that begin so")
    for sub in (getting, putting, deleting):
        sub.add_argument("key", metavar="KEY", help="what it is called in the store")
    value = putting.add_mutually_exclusive_group(required=True)
    value.add_argument("value", nargs="?", metavar="VALUE", help="text, in place of --path")
    value.add_argument("--path", type=Path, help="a file that holds the value")
    putting.add_argument("--ttl", type=int, metavar="SECONDS", help="how long it lives, 60 or more")
    putting.add_argument("--metadata", type=json.loads, metavar="JSON", help="kept beside the value")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""

    async def work(runtime: Runtime) -> int:
        name = store_of(runtime.config, "kv", options.worker, options.binding)
        store = runtime.kv(name, worker=options.worker)
        status: int = await _VERBS[options.verb](store, options)
        return status

    return with_runtime(options.config, work)


async def _list(store: KV, options: argparse.Namespace) -> int:
    cursor = None
    while True:
        page = await store.list(options.prefix, cursor=cursor)
        for key in page.keys:
            row = {"name": key.name, "expiration": key.expiration, "metadata": key.metadata}
            ends = "" if key.expiration is None else f"\texpires {key.expiration}"
            say(row, f"{cell(key.name)}{ends}", as_json=options.json)
        if (cursor := page.cursor) is None:
            return 0


async def _get(store: KV, options: argparse.Namespace) -> int:
    found = await store.entry(options.key)
    if options.json:
        row = None if found is None else {
            "value": found.value.decode("utf-8", "replace"), "metadata": found.metadata, "expiration": found.expiration,
        }  # fmt: skip
        say(row, "", as_json=True)
    elif found is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(found.value)
        sys.stdout.buffer.flush()
    return 0 if found is not None else 1


async def _put(store: KV, options: argparse.Namespace) -> int:
    value = options.value.encode() if options.path is None else read_file(options.path)
    await store.put(options.key, value, expiration_ttl=options.ttl, metadata=options.metadata)
    say({"ok": True, "bytes": len(value)}, "ok", as_json=options.json)
    return 0


async def _delete(store: KV, options: argparse.Namespace) -> int:
    await store.delete(options.key)
    say({"ok": True}, "ok", as_json=options.json)
    return 0


_VERBS: dict[str, Any] = {"list": _list, "get": _get, "put": _put, "delete": _delete}
