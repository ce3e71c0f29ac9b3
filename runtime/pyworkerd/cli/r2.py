"""`pyworkerd r2`: look into a worker's bucket, and change it, also while the server runs. Objects stream."""

from __future__ import annotations

import asyncio
import mimetypes
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pyworkerd.bindings.r2.model import HttpMetadata, R2ObjectBody
from pyworkerd.problems import Refusal

from .stores import add_binding, cell, say, store_of, with_runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from pyworkerd.bindings.r2.handle import R2
    from pyworkerd.bindings.r2.model import R2Object
    from pyworkerd.runtime import Runtime

PIECE: Final = 256 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd r2 get config.toml shop FILES report.pdf --path report.pdf"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print keys, with their sizes")
    heading = verbs.add_parser(
        "head", help="print what is known of an object; exit status 1 if there is none"
    )
    getting = verbs.add_parser("get", help="print an object as it is, or write it to a file")
    putting = verbs.add_parser("put", help="write an object")
    deleting = verbs.add_parser("delete", help="remove an object")
    for sub in (listing, heading, getting, putting, deleting):
        add_binding(sub, "bucket")
    listing.add_argument("--prefix", default="", help="only keys that begin so")
    for sub in (heading, getting, putting, deleting):
        sub.add_argument("key", metavar="KEY", help="what it is called in the bucket")
    getting.add_argument("--path", type=Path, help="the file to write, in place of standard output")
    putting.add_argument("--path", type=Path, required=True, help="the file that holds it")
    putting.add_argument("--content-type", metavar="TYPE", help="default: by the end of the file's name")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""

    async def work(runtime: Runtime) -> int:
        name = store_of(runtime.config, "r2", options.worker, options.binding)
        bucket = runtime.r2(name, worker=options.worker)
        status: int = await _VERBS[options.verb](bucket, options)
        return status

    return with_runtime(options.config, work)


async def _list(bucket: R2, options: argparse.Namespace) -> int:
    cursor = None
    while True:
        page = await bucket.list(options.prefix, cursor=cursor)
        for found in page.objects:
            say(_row(found), f"{found.size}\t{cell(found.key)}", as_json=options.json)
        if (cursor := page.cursor) is None:
            return 0


async def _head(bucket: R2, options: argparse.Namespace) -> int:
    found = await bucket.head(options.key)
    if found is None:
        say(None, f"there is nothing under {cell(options.key)}", as_json=options.json)
        return 1
    text = "\n".join(f"{name}\t{cell(str(value))}" for name, value in _row(found).items())
    say(_row(found), text, as_json=options.json)
    return 0


async def _get(bucket: R2, options: argparse.Namespace) -> int:
    found = await bucket.get(options.key)
    if not isinstance(found, R2ObjectBody):
        say(
            None,
            f"there is nothing under {cell(options.key)}",
            as_json=options.json or not options.path,
        )
        return 1
    with ExitStack() as closing:
        sys.stdout.flush()
        out: BinaryIO = sys.stdout.buffer
        if options.path is not None:
            out = closing.enter_context(_opened(options.path, "wb"))
        async for chunk in found.body:
            await asyncio.to_thread(out.write, chunk)
        out.flush()
    if options.path is not None:
        say(_row(found), "ok", as_json=options.json)
    return 0


async def _put(bucket: R2, options: argparse.Namespace) -> int:
    kind = options.content_type or mimetypes.guess_type(options.path.name)[0]
    with _opened(options.path, "rb") as file:
        written = await bucket.put(options.key, _pieces(file), http_metadata=HttpMetadata(content_type=kind))
    say(None if written is None else _row(written), "ok", as_json=options.json)
    return 0


async def _delete(bucket: R2, options: argparse.Namespace) -> int:
    await bucket.delete(options.key)
    say({"ok": True}, "ok", as_json=options.json)
    return 0


_VERBS: dict[str, Any] = {"list": _list, "head": _head, "get": _get, "put": _put, "delete": _delete}


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await asyncio.to_thread(file.read, PIECE):
        yield data


def _opened(path: Path, mode: str) -> BinaryIO:
    try:
        return path.open(mode)  # type: ignore[return-value]
    except OSError as error:
        raise Refusal.of(f"{path} cannot be opened: {error.strerror}") from None


def _row(found: R2Object) -> dict[str, Any]:
    return {
        "key": found.key,
        "size": found.size,
        "etag": found.etag,
        "uploaded": found.uploaded.isoformat(),
        "http_metadata": found.http_metadata.to_json(),
        "custom_metadata": dict(found.custom_metadata),
        "storage_class": found.storage_class,
    }
