"""Stages 3 and 4: what a worker's isolates ask of a bucket.

What has a body goes as a request: `GET` for get, `PUT` for put, `POST` for a part. Its header `x-r2` is JSON: the key
and the options. The answer's is the object, as `R2Object.to_wire` has it; 204 is none, 412 an object whose condition
did not hold. All else are calls.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.bindings.methods import Methods
from pyworkerd.errors import NoSuchMethod
from pyworkerd.messages import Body, Response, header

from . import options as opt
from .model import R2ObjectBody

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pyworkerd.messages import Request

    from .bucket import Bucket
    from .model import R2Object

HEADER: Final = "x-r2"
MAX_ARGUMENTS: Final = args.MAX_TEXT + 4096
"""Of a call: 1,000 keys of 1,024 bytes, or 10,000 parts."""


class R2(Methods):
    """One bucket, for one worker version."""

    __slots__ = ("_bucket", "_close")

    reads = True
    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "head": {"key": str},
        "delete": {"keys": list},
        "list": {"options": dict},
        "create": {"key": str, "options": dict},
        "complete": {"key": str, "upload": str, "parts": list},
        "abort": {"key": str, "upload": str},
    }

    def __init__(self, bucket: Bucket, close: Callable[[], Awaitable[None]] | None = None) -> None:
        self._bucket = bucket
        self._close = close
        """How it is let go of, if somebody else has made it."""

    async def call(self, method: str, arguments: bytes) -> bytes:
        """See `base.Capability`."""
        parameters = self.methods.get(method)
        if parameters is None:
            raise NoSuchMethod(f"this binding has no method {method[:40]!r}")
        bound = args.bind(method, parameters, args.decode(arguments, MAX_ARGUMENTS))
        return wire.dump_value(await getattr(self, method)(**bound))

    async def head(self, key: str) -> Sequence[Any] | None:
        """What is there under a key."""
        found = await self._bucket.head(key)
        return None if found is None else found.to_wire()

    async def delete(self, keys: Sequence[Any]) -> None:
        """Delete objects."""
        if not all(type(key) is str for key in keys):
            raise args.type_error("delete(): a key must be a string")
        await self._bucket.delete(keys)

    async def list(self, options: dict[str, Any]) -> Sequence[Any]:
        """A page: objects, prefixes, cursor."""
        page = await self._bucket.list(opt.list_options(options))
        objects = [found.to_wire() for found in page.objects]
        return [objects, [*page.delimited_prefixes], page.cursor]

    async def create(self, key: str, options: dict[str, Any]) -> str:
        """Begin an upload."""
        asked = opt.put_options(options, "createMultipartUpload")
        return await self._bucket.create_multipart_upload(key, asked)

    async def complete(self, key: str, upload: str, parts: Sequence[Any]) -> Sequence[Any]:
        """Make an object of parts."""
        return (await self._bucket.complete_multipart_upload(key, upload, opt.parts(parts))).to_wire()

    async def abort(self, key: str, upload: str) -> None:
        """Drop an upload."""
        await self._bucket.abort_multipart_upload(key, upload)

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:  # noqa: ARG002
        """See the module."""
        try:
            perform, key, asked = _asked(request)
        except BaseException:
            await request.body.aclose()
            raise
        return await perform(self, key, asked, request.body), ""

    async def _get(self, key: str, asked: dict[str, Any], body: Body) -> Response:
        await body.aclose()
        found = await self._bucket.get(key, *opt.get_options(asked))
        if isinstance(found, R2ObjectBody):
            return _answer(200, found, found.body)
        return _answer(412, found)

    async def _put(self, key: str, asked: dict[str, Any], body: Body) -> Response:
        try:
            options = opt.put_options(asked)
        except BaseException:
            await body.aclose()
            raise
        return _answer(200, await self._bucket.put(key, body, options))

    async def _part(self, key: str, asked: dict[str, Any], body: Body) -> Response:
        upload, number = asked.get("upload"), asked.get("number")
        if type(upload) is not str or type(number) is not int:
            await body.aclose()
            raise args.type_error("uploadPart(): the upload is a string, the part's number a whole number")
        part = await self._bucket.upload_part(key, upload, number, body)
        return Response(200, ((HEADER, json.dumps([part.number, part.etag])),))

    async def aclose(self) -> None:
        """Let go of the bucket."""
        await (self._bucket.aclose() if self._close is None else self._close())


_REQUESTS: Final = {"GET": R2._get, "PUT": R2._put, "POST": R2._part}  # noqa: SLF001 - its own


def _asked(request: Request) -> tuple[Callable[..., Awaitable[Response]], str, dict[str, Any]]:
    perform = _REQUESTS.get(request.method)
    if perform is None:
        raise NoSuchMethod("this binding has no method 'fetch'")
    asked = opt.parse(header(request.headers, HEADER) or "{}")
    key = asked.pop("key", None)
    if type(key) is not str:
        raise args.type_error("the key must be a string")
    return perform, key, asked


def _answer(status: int, found: R2Object | None, body: Body | None = None) -> Response:
    if found is None:
        return Response(204)
    return Response(status, ((HEADER, json.dumps(found.to_wire())),), body or Body())
