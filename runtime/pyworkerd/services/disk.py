"""A folder as a service: GET, HEAD, PUT and DELETE of its files (workerd.capnp, `DiskDirectory`).

The path of the URL is the path of the file. What begins with a dot is as if it were not there, unless it is allowed;
`..` is always so, and nothing that is a symbolic link is followed (`storage.tree`).
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from pyworkerd.errors import NoSuchMethod
from pyworkerd.http.conditional import byte_ranges
from pyworkerd.http.dates import format_date
from pyworkerd.messages import Body, Response, header, text_response
from pyworkerd.storage.bodies import FileBody, receive
from pyworkerd.storage.tree import DIRECTORY, FILE, FileSource, Tree

from .base import DEFAULT

if TYPE_CHECKING:
    from pyworkerd_config.model import Disk

    from pyworkerd.messages import Request
    from pyworkerd.storage.lane import Lane
    from pyworkerd.storage.tree import Entry

    from .base import Target

BINARY: Final = "application/octet-stream"


def path_of(url: str, *, dotfiles: bool) -> tuple[str, ...] | None:
    """The names on the way to a file; None for a path that leads nowhere: it is malformed, or hidden. Pure."""
    names = []
    for part in urlsplit(url).path.split("/"):
        if not part:
            continue
        try:
            name = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            return None
        if name in (".", "..") or "/" in name or "\0" in name or (name.startswith(".") and not dotfiles):
            return None
        names.append(name)
    return tuple(names)


class DiskService:
    """The files below one folder."""

    external = False

    def __init__(self, name: str, model: Disk, lane: Lane) -> None:
        self.name = name
        self._model, self._lane, self._tree = model, lane, Tree(model.path)

    def __repr__(self) -> str:
        return f"<DiskService {self.name}>"

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """Answer one request. Raises `StorageError`."""
        del target
        path = path_of(request.url, dotfiles=self._model.allow_dotfiles)
        if request.method == "PUT" and self._model.writable and path:
            return await self._put(request, path)
        await request.body.aclose()
        if request.method in ("GET", "HEAD"):
            if path is None:
                return text_response(404, "Not Found")
            return await self._get(request, path, head=request.method == "HEAD")
        if request.method == "DELETE" and self._model.writable and path:
            return await self._delete(path)
        return _refused(request.method, writable=self._model.writable)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """Refused: a folder has no methods."""
        del arguments, target
        raise NoSuchMethod(f"a disk service has no method {method[:40]!r}")

    async def aclose(self) -> None:
        """Finish what was begun."""
        await self._lane.aclose()

    async def _get(self, request: Request, path: tuple[str, ...], *, head: bool) -> Response:
        entry = await self._lane.run(partial(self._tree.look, path))
        if entry is None:
            return text_response(404, "Not Found")
        if entry.kind == DIRECTORY:
            return await self._list(path, head=head)
        if entry.kind != FILE:
            return text_response(406, "Not Acceptable")
        if head:
            return Response(200, (*_headers(entry), ("content-length", str(entry.size))))
        return await self._file(request, path)

    async def _list(self, path: tuple[str, ...], *, head: bool) -> Response:
        headers = (("content-type", "application/json"),)
        if head:
            return Response(200, headers)
        found = await self._lane.run(partial(self._tree.listing, path))
        if found is None:
            return text_response(404, "Not Found")
        shown = [
            {"name": name, "type": kind}
            for name, kind in found
            if self._model.allow_dotfiles or not name.startswith(".")
        ]
        return Response(200, headers, Body(json.dumps(shown).encode()))

    async def _file(self, request: Request, path: tuple[str, ...]) -> Response:
        opened = await self._lane.run(partial(self._tree.open, path))
        if opened is None:
            return text_response(404, "Not Found")
        entry, descriptor = opened
        return file_response(entry, descriptor, header(request.headers, "range"), _headers(entry), self._lane)

    async def _put(self, request: Request, path: tuple[str, ...]) -> Response:
        new = None
        try:
            new = await self._lane.run(partial(self._tree.write, path))
            await receive(request.body, new, self._lane, lambda _: None)
            await self._lane.run(new.publish)
        except FileExistsError:
            return text_response(409, "Conflict")
        finally:
            await request.body.aclose()
            if new is not None:
                self._lane.leave(new.discard)
        return Response(204)

    async def _delete(self, path: tuple[str, ...]) -> Response:
        try:
            there = await self._lane.run(partial(self._tree.delete, path))
        except FileExistsError:
            return text_response(409, "Conflict")
        return Response(204) if there else text_response(404, "Not Found")


def _refused(method: str, *, writable: bool) -> Response:
    if method not in ("PUT", "DELETE"):
        return text_response(501, "Not Implemented")
    if not writable:
        return text_response(405, "Method Not Allowed", (("allow", "GET, HEAD"),))
    return text_response(403, "Unauthorized")


def _headers(entry: Entry) -> tuple[tuple[str, str], ...]:
    return (("content-type", BINARY), ("last-modified", format_date(entry.modified_ns / 1e9)))


def file_response(
    entry: Entry, descriptor: int, asked: str | None, headers: tuple[tuple[str, str], ...], lane: Lane
) -> Response:
    """An open file as a response, or the one range of it that was asked for (RFC 9110 section 14.2). It is closed with
    the body.
    """
    ranges = None if asked is None else byte_ranges(asked, entry.size)
    if ranges == ():
        FileSource(descriptor, 0, 0).close()
        return Response(416, (("content-range", f"bytes */{entry.size}"),))
    offset, length = ranges[0] if ranges is not None and len(ranges) == 1 else (0, entry.size)
    source = FileSource(descriptor, offset, length)
    body = Body(chunks=FileBody(source, lane, lambda: None), length=length)
    if ranges is None or len(ranges) != 1:
        return Response(200, headers, body)
    shown = ("content-range", f"bytes {offset}-{offset + length - 1}/{entry.size}")
    return Response(206, (*headers, shown), body)
