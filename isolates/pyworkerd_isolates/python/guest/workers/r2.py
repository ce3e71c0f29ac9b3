"""R2 on `env`: the methods, options and fields of Workers, by both of their spellings, with Python's values."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from _pyworkerd import calls
from _pyworkerd.handlers import begin_fetch

from .blob import encode_text
from .body import BodyStream, extract
from .capability import Capability
from .headers import Headers
from .response import Response
from .rpc import JsDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

URL = "http://r2/"
HEADER = "x-r2"
"""Where the host reads what is asked, and this module what is answered: JSON."""
MAX_KEYS = 400_000
"""Characters, as JSON has them, of the keys of one call: more are deleted by several."""
_HTTP_HEADERS = {
    "contentType": "content-type",
    "contentLanguage": "content-language",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "cacheControl": "cache-control",
}
_SNAKES = re.compile("_([a-z0-9])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_has_code = re.compile(r"(\w+): (.*) \((\d+)\)", re.DOTALL).fullmatch


class R2Error(calls.CallError):
    """R2 refused something. `code` is its number, as in Workers."""

    def __init__(self, message, action, code):
        super().__init__(message, code)
        self.action = action
        self.v4code = code
        self.name = "R2Error"


class Fields(JsDict):
    """A dictionary with the names of Workers, whose keys are attributes by both spellings; None for what is not set."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(_camel(name))


class R2Object:
    """What is known of an object."""

    __slots__ = (
        "checksums",
        "custom_metadata",
        "etag",
        "http_metadata",
        "key",
        "range",
        "size",
        "storage_class",
        "uploaded",
        "version",
    )

    def __init__(self, fields: list[Any]) -> None:
        self.key, self.version, self.size, self.etag, uploaded, http, custom, sums, kind, span = fields
        self.uploaded = _EPOCH + timedelta(milliseconds=uploaded)
        self.http_metadata = Fields({_camel(name): value for name, value in http.items()})
        if "cacheExpiry" in self.http_metadata:
            self.http_metadata["cacheExpiry"] = _EPOCH + timedelta(milliseconds=http["cache_expiry"])
        self.custom_metadata = JsDict(custom)
        self.checksums = Fields({name: bytes.fromhex(value) for name, value in sums.items()})
        self.storage_class = kind
        self.range = None if span is None else Fields(offset=span[0], length=span[1])

    def __getattr__(self, name: str) -> Any:
        snake = re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
        if snake == name or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, snake)

    @property
    def http_etag(self) -> str:
        """The etag as a header has it."""
        return f'"{self.etag}"'

    def write_http_metadata(self, headers: Headers) -> None:
        """Set the headers that the object was written with."""
        for name, header in _HTTP_HEADERS.items():
            if name in self.http_metadata:
                headers[header] = self.http_metadata[name]
        if "cacheExpiry" in self.http_metadata:
            headers["expires"] = self.http_metadata["cacheExpiry"].strftime("%a, %d %b %Y %H:%M:%S GMT")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r} {self.size} bytes>"


class R2ObjectBody(R2Object):
    """An object and its bytes, which are read once: `text()`, `json()`, `bytes()`, `blob()`, or `body`, a stream."""

    __slots__ = ("_response",)

    def __init__(self, fields: list[Any], body: Any) -> None:
        super().__init__(fields)
        kind = self.http_metadata.get("contentType")
        self._response = Response._of(200, () if kind is None else (("content-type", kind),), body)

    @property
    def body(self) -> BodyStream:
        """The bytes as a stream, to read or to give to a `Response`."""
        if self._response._body is None:
            self._response._body = BodyStream.of(b"")
        return self._response.body

    @property
    def body_used(self) -> bool:
        """Whether anything has been read."""
        return self._response.body_used

    async def bytes(self) -> bytes:
        """All of it."""
        return await self._response.buffer()

    array_buffer = bytes

    async def text(self) -> str:
        """All of it as UTF-8; what is malformed becomes U+FFFD."""
        return await self._response.text()

    async def json(self) -> Any:
        """All of it, parsed as JSON."""
        return await self._response._json(object_hook=JsDict)

    async def blob(self) -> Any:
        """All of it, with its content type."""
        return await self._response.blob()


class R2MultipartUpload:
    """An upload in parts. To make one needs no call: `resume_multipart_upload` does not know whether it is there."""

    __slots__ = ("_bucket", "key", "upload_id")

    def __init__(self, bucket: R2Bucket, key: str, upload_id: str) -> None:
        self._bucket, self.key, self.upload_id = bucket, key, upload_id

    @property
    def uploadId(self) -> str:  # noqa: N802
        """The same as `upload_id`."""
        return self.upload_id

    async def upload_part(self, number: int, value: Any, options: Any = None, /) -> Fields:
        """Send a part: its `partNumber` and `etag`, for `complete`."""
        _given(options, {})
        asked = {"upload": _text(self.upload_id, "upload id"), "number": number}
        _, answer, _ = await self._bucket._send("POST", self.key, asked, _body(value))
        return Fields(partNumber=answer[0], etag=answer[1])

    uploadPart = upload_part

    async def complete(self, parts: Any, /) -> R2Object:
        """Make an object of the parts, in the order of their numbers."""
        listed = [[_of(part, "part_number"), _of(part, "etag")] for part in parts]
        return R2Object(await self._bucket._ask("complete", self.key, self.upload_id, listed))

    async def abort(self) -> None:
        """Drop the upload and its parts."""
        await self._bucket._ask("abort", self.key, self.upload_id)


class R2Bucket(Capability):
    """A bucket: `head`, `get`, `put`, `delete`, `list`, multipart uploads. Options as a dictionary or by name."""

    __slots__ = ()

    async def head(self, key: str, /) -> R2Object | None:
        """What is there under a key, without its bytes; None if there is nothing."""
        found = await self._ask("head", _text(key, "key"))
        return None if found is None else R2Object(found)

    async def get(self, key: str, options: Any = None, /, **named: Any) -> R2ObjectBody | R2Object | None:
        """An object with its bytes; an `R2Object` without them if `onlyIf` does not hold; None if there is none."""
        status, found, body = await self._send("GET", key, _given(options, named), None)
        if found is None:
            return None
        return R2ObjectBody(found, body) if status == 200 else R2Object(found)

    async def put(self, key: str, value: Any, options: Any = None, /, **named: Any) -> R2Object | None:
        """Write an object: text, bytes, a blob, a stream, an iterator of pieces, or None for no bytes. It is on disk
        when this returns. None if `onlyIf` does not hold.
        """
        body = _body(value)
        _, found, _ = await self._send("PUT", key, _given(options, named), body)
        return None if found is None else R2Object(found)

    async def delete(self, keys: Any, /) -> None:
        """Delete an object, or up to 1,000. They need not be there."""
        if isinstance(keys, str):
            keys = [keys]
        keys = [_text(key, "key") for key in keys]
        if len(keys) > 1000:
            await self._ask("delete", keys[:1001])  # to be refused
        portion: list[str] = []
        size = 0
        for key in keys:
            portion.append(key)
            size += len(json.dumps(key)) if len(key) <= 1024 else 6144
            if size > MAX_KEYS:
                await self._ask("delete", portion)
                portion, size = [], 0
        if portion:
            await self._ask("delete", portion)

    async def list(self, options: Any = None, /, **named: Any) -> Fields:
        """A page of keys: `objects`, `delimitedPrefixes`, `truncated`, and `cursor` where there is more."""
        given = _given(options, named)
        objects, prefixes, cursor = await self._ask("list", given)
        page = Fields(
            objects=[R2Object(found) for found in objects],
            delimitedPrefixes=prefixes,
            truncated=cursor is not None,
        )
        if cursor is not None:
            page["cursor"] = cursor
        return page

    async def create_multipart_upload(
        self, key: str, options: Any = None, /, **named: Any
    ) -> R2MultipartUpload:
        """Begin an upload in parts."""
        return R2MultipartUpload(
            self, key, await self._ask("create", _text(key, "key"), _given(options, named))
        )

    createMultipartUpload = create_multipart_upload

    def resume_multipart_upload(self, key: str, upload_id: str, /) -> R2MultipartUpload:
        """An upload that was begun before, perhaps by another invocation."""
        return R2MultipartUpload(self, _text(key, "key"), _text(upload_id, "upload id"))

    resumeMultipartUpload = resume_multipart_upload

    async def _ask(self, method, *positional):
        try:
            return await self._call(method, *positional)
        except calls.CallError as error:
            raise _own(error) from None

    async def _send(self, method, key, asked, body):
        pairs = [[HEADER, json.dumps({**asked, "key": _text(key, "key")[:2048]})]]
        begun = begin_fetch(self._index, method, URL, pairs, body)
        try:
            status, headers, answer, _ = await calls.finish_fetch(begun)
        except calls.CallError as error:
            raise _own(error) from None
        told = [value for name, value in headers if name == HEADER]
        return status, json.loads(told[0]) if told else None, answer


def _own(error: Any) -> Exception:
    found = _has_code(str(error))
    return R2Error(str(error), found[1], int(found[3])) if found else error


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the {what} has to be str, not {type(value).__name__}")
    return value


def _of(part: Any, name: str) -> Any:
    """A field of a part, which is an object or a dictionary, with names in either spelling."""
    camel = _camel(name)
    if isinstance(part, dict):
        return part.get(camel, part.get(name))
    return getattr(part, camel, getattr(part, name, None))


def _body(value: Any) -> Any:
    body = extract(value, "R2")[0]
    return encode_text(body) if isinstance(body, str) else body


def _camel(name: str) -> str:
    return _SNAKES.sub(lambda found: found[1].upper(), name)


def _given(options: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Options by their names in Workers, as JSON can say them. None is as if it were not given."""
    if options is not None and not isinstance(options, dict):
        raise TypeError(f"the options have to be a dictionary, not {type(options).__name__}")
    given = {_camel(name): value for name, value in {**(options or {}), **named}.items() if value is not None}
    return {name: _plain(value, named_fields=name != "customMetadata") for name, value in given.items()}


def _plain(value: Any, named_fields: bool = True) -> Any:  # noqa: PLR0911 (one line for each kind)
    if isinstance(value, Headers):
        return {"headers": value.items()}
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {_camel(k) if named_fields else k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (tuple, set)):
        return list(value)
    return value
