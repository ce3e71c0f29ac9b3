"""`Blob` and `File`: bytes with a type, and with a name."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import re
import time
from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    BlobPart = str | bytes | bytearray | memoryview | "Blob"

_is_printable = re.compile(r"[\x20-\x7e]*").fullmatch
_lone_surrogate = re.compile("[\ud800-\udfff]")
_line_end = re.compile("\r\n|\r|\n")


class BlobEnding(StrEnum):
    """What becomes of line ends in text parts: kept, or made those of the platform (a line feed)."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


def encode_text(text: str) -> bytes:
    """Text as UTF-8. Surrogates without a partner become U+FFFD, as in every web interface (USVString)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return _lone_surrogate.sub("\ufffd", paired).encode()


def decode_text(data: bytes) -> str:
    """Bytes as UTF-8, without a byte order mark; what is malformed becomes U+FFFD."""
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


class Blob:
    """Bytes that do not change, with a media type (empty if it is not known)."""

    __slots__ = ("_data", "_type")

    def __init__(
        self,
        parts: BlobPart | Iterable[BlobPart] = (),
        content_type: str | None = None,
        endings: BlobEnding | str = BlobEnding.TRANSPARENT,
    ) -> None:
        native = BlobEnding(endings) is BlobEnding.NATIVE
        if isinstance(parts, Blob):
            self._data, inherited = parts._data, parts._type
        elif isinstance(parts, (str, bytes, bytearray, memoryview)):
            self._data, inherited = _part(parts, native), ""
        else:
            self._data, inherited = b"".join([_part(part, native) for part in parts]), ""
        self._type = inherited if content_type is None else _normal_type(content_type)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._data)

    @property
    def content_type(self) -> str:
        """The media type in lower case, or an empty string."""
        return self._type

    type = content_type

    @property
    def js_object(self) -> Blob:
        """Itself: nothing lies beneath. For programs that hand it to a binding."""
        return self

    async def array_buffer(self) -> bytes:
        """The content."""
        return self._data

    bytes = array_buffer

    async def text(self) -> str:
        """The content as UTF-8; what is malformed becomes U+FFFD."""
        return decode_text(self._data)

    def slice(self, start: int | None = None, end: int | None = None, content_type: str = "") -> Blob:
        """A part of the content; negative positions count from the end."""
        return Blob(self._data[start:end], content_type)

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Blob(size={self.size}, content_type={self._type!r})"


class File(Blob):
    """A blob with a file name and the time of its last change, in milliseconds since 1970."""

    __slots__ = ("_last_modified", "_name")

    def __init__(
        self,
        parts: BlobPart | Iterable[BlobPart],
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str = BlobEnding.TRANSPARENT,
        last_modified: int | None = None,
    ) -> None:
        super().__init__(parts, content_type, endings)
        if not isinstance(filename, str):
            raise TypeError(f"a file's name has to be str, not {filename.__class__.__name__}")
        self._name = filename
        self._last_modified = int(time.time() * 1000) if last_modified is None else int(last_modified)

    @property
    def name(self) -> str:
        """The name that it was given."""
        return self._name

    @property
    def last_modified(self) -> int:
        """Milliseconds since 1970."""
        return self._last_modified

    def __repr__(self) -> str:
        return f"File(name={self._name!r}, size={self.size}, content_type={self._type!r})"


def _part(part: BlobPart, native: bool) -> bytes:
    if isinstance(part, str):
        return encode_text(_line_end.sub("\n", part) if native else part)
    if isinstance(part, Blob):
        return part._data
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    raise TypeError(f"a blob is made of str, bytes and blobs, not of {type(part).__name__}")


def _normal_type(content_type: str) -> str:
    return content_type.lower() if _is_printable(content_type) else ""
