"""What a guest asks for, from JSON to checked values. Pure; nothing is believed.

Names are those of Workers. The guest has written headers as `{"headers": [[name, value], ...]}`, moments as
milliseconds and checksums as hexadecimal digits. What is wrong with a type is a TypeError in the guest, with workerd's
sentences.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.bindings.arguments import type_error
from pyworkerd.errors import BadCall
from pyworkerd.http.conditional import Tag, entity_tags, http_date

from .faults import fault
from .model import (
    CHECKSUMS,
    HTTP_FIELDS,
    STANDARD,
    STORAGE_CLASSES,
    Conditions,
    HttpMetadata,
    ListOptions,
    Part,
    PutOptions,
    Range,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_MOMENT: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
MAX_SIZE: Final = 2**53
MAX_TEXT: Final = 65_536

_HEX: Final = re.compile("[0-9a-fA-F]*").fullmatch


def parse(text: str) -> dict[str, Any]:
    """The JSON of a request's header."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise type_error("the options cannot be read") from None
    if type(value) is not dict:
        raise type_error("the options are not an object")
    return value


def _read(values: Any, what: str, readers: Mapping[str, Callable[[Any, str], Any]]) -> dict[str, Any]:
    """The options that are given, read each by its row. One that is unknown is refused: a misspelt condition would be
    none."""
    if type(values) is not dict:
        raise type_error(f"Incorrect type: the {what} are not an object.")
    found = {}
    for name, value in values.items():
        if name not in readers:
            raise type_error(f"there is no option {name[:40]!r} among the {what}")
        if value is not None:
            found[name] = readers[name](value, name)
    return found


def _text(value: Any, name: str) -> str:
    if type(value) is not str or len(value) > MAX_TEXT:
        raise type_error(
            f"Incorrect type for the '{name}' field: the provided value is not of type 'string'."
        )
    return value


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or abs(value) > MAX_SIZE:
        raise type_error(f"Incorrect type for the '{name}' field: the provided value is not a whole number.")
    return value


def _flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise type_error(
            f"Incorrect type for the '{name}' field: the provided value is not of type 'boolean'."
        )
    return value


def _moment(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_MOMENT:
        raise type_error(f"Incorrect type for the '{name}' field: the provided value is not of type 'date'.")
    return value


def _etag(value: Any, name: str) -> tuple[Tag, ...]:
    text = _text(value, name)
    if text.startswith(('"', 'W/"')):
        raise type_error(f"Conditional ETag should not be wrapped in quotes ({text[:200]}).")
    return (Tag(text),)


def _texts(value: Any, name: str) -> dict[str, str]:
    if type(value) is not dict:
        raise type_error(
            f"Incorrect type for the '{name}' field: the provided value is not of type 'object'."
        )
    return {_text(key, name): _text(each, name) for key, each in value.items()}


def _headers(value: Any) -> dict[str, str] | None:
    """Headers by their names, if these are headers."""
    if type(value) is not dict or value.keys() != {"headers"} or type(value["headers"]) is not list:
        return None
    found: dict[str, str] = {}
    for pair in value["headers"]:
        if type(pair) is not list or len(pair) != 2:
            raise type_error("the headers are not pairs")
        found.setdefault(_text(pair[0], "headers").lower(), _text(pair[1], "headers"))
    return found


def conditions(value: Any, name: str = "onlyIf") -> Conditions:
    """`onlyIf`: an object, or the headers of a conditional request."""
    headers = _headers(value)
    if headers is not None:
        return _conditions_of(headers)
    found = _read(
        value,
        f"conditions ({name})",
        {
            "etagMatches": _etag,
            "etagDoesNotMatch": _etag,
            "uploadedBefore": _moment,
            "uploadedAfter": _moment,
            "secondsGranularity": _flag,
        },
    )
    return Conditions(
        found.get("etagMatches"),
        found.get("etagDoesNotMatch"),
        found.get("uploadedBefore"),
        found.get("uploadedAfter"),
        found.get("secondsGranularity", False),
    )


def _conditions_of(headers: Mapping[str, str]) -> Conditions:
    return Conditions(
        _tags_of(headers, "if-match"),
        _tags_of(headers, "if-none-match"),
        _moment_of(headers, "if-unmodified-since"),
        _moment_of(headers, "if-modified-since"),
        seconds_granularity=True,
    )


def _tags_of(headers: Mapping[str, str], name: str) -> tuple[Tag, ...] | None:
    if name not in headers:
        return None
    found = entity_tags(headers[name])
    if not found:
        raise BadCall(f"Invalid ETag in {name} header")
    return found


def _moment_of(headers: Mapping[str, str], name: str) -> int | None:
    seconds = http_date(headers[name]) if name in headers else None
    return None if seconds is None else seconds * 1000


def wanted_range(value: Any, name: str = "range") -> Range | None:
    """`range`: an object, or headers that may have one."""
    headers = _headers(value)
    if headers is not None:
        return Range(header=headers["range"]) if "range" in headers else None
    found = _read(value, f"numbers of the {name}", {"offset": _whole, "length": _whole, "suffix": _whole})
    if "suffix" in found and len(found) > 1:
        raise type_error("Suffix is incompatible with offset or length.")
    return Range(**found)


def http_metadata(value: Any, name: str = "httpMetadata") -> HttpMetadata:
    """`httpMetadata`: an object, or the headers that the object is served with."""
    headers = _headers(value)
    if headers is not None:
        found: dict[str, Any] = {own: headers.get(header) for own, header in HTTP_FIELDS.items()}
        return HttpMetadata(**found, cache_expiry=_moment_of(headers, "expires"))
    readers: dict[str, Callable[[Any, str], Any]] = {camel(own): _text for own in HTTP_FIELDS}
    values = _read(value, name, {**readers, "cacheExpiry": _moment})
    names = {camel(own): own for own in (*HTTP_FIELDS, "cache_expiry")}
    return HttpMetadata(**{names[key]: each for key, each in values.items()})


def camel(name: str) -> str:
    """`cacheExpiry` for `cache_expiry`."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _checksum(value: Any, name: str) -> tuple[str, bytes]:
    label, size = CHECKSUMS[name]
    text = _text(value, name)
    if len(text) != 2 * size:
        raise type_error(f"{label} is {2 * size} hex characters, not {len(text)}")
    if not _HEX(text):
        raise type_error(f"Provided {label} wasn't a valid hex string")
    return name, bytes.fromhex(text)


def _storage_class(action: str) -> Callable[[Any, str], str]:
    def read(value: Any, name: str) -> str:
        if _text(value, name) not in STORAGE_CLASSES:
            raise fault(action, "argument")
        return _text(value, name)

    return read


def _no_key(_value: Any, name: str) -> Any:
    raise type_error(f"{name} is not supported here: files are as safe as the disk that they lie on")


def put_options(values: Any, action: str = "put") -> PutOptions:
    """What goes with `put`, or with `createMultipartUpload`."""
    readers: dict[str, Callable[[Any, str], Any]] = {
        "httpMetadata": http_metadata,
        "customMetadata": _texts,
        "storageClass": _storage_class(action),
        "ssecKey": _no_key,
    }
    if action == "put":
        readers |= {"onlyIf": conditions, **dict.fromkeys(CHECKSUMS, _checksum)}
    found = _read(values, f"options of {action}()", readers)
    sums = [found[kind] for kind in CHECKSUMS if kind in found]
    if len(sums) > 1:
        raise type_error("You cannot specify multiple hashing algorithms.")
    return PutOptions(
        found.get("httpMetadata", HttpMetadata()),
        found.get("customMetadata", {}),
        found.get("storageClass", STANDARD),
        found.get("onlyIf"),
        sums[0] if sums else None,
    )


def get_options(values: Any) -> tuple[Conditions | None, Range | None]:
    """The condition and the range of a `get`."""
    found = _read(
        values, "options of get()", {"onlyIf": conditions, "range": wanted_range, "ssecKey": _no_key}
    )
    return found.get("onlyIf"), found.get("range")


def _included(value: Any, name: str) -> frozenset[str]:
    if type(value) is not list or not all(each in ("httpMetadata", "customMetadata") for each in value):
        raise type_error(f"{name} is a list of 'httpMetadata' and 'customMetadata'")
    return frozenset(value)


def list_options(values: Any) -> ListOptions:
    """Which keys are listed."""
    found = _read(
        values,
        "options of list()",
        {
            "prefix": _text,
            "delimiter": _text,
            "cursor": _text,
            "startAfter": _text,
            "limit": _whole,
            "include": _included,
        },
    )
    return ListOptions(
        found.get("prefix", ""),
        found.get("delimiter", ""),
        found.get("limit", 1000),
        found.get("cursor"),
        found.get("startAfter"),
        found.get("include", frozenset()),
    )


def parts(values: Any) -> list[Part]:
    """The parts of an upload, `[[number, etag], ...]`."""
    found = []
    for value in values:
        if type(value) is not list or len(value) != 2:
            raise type_error("a part is a number and an etag")
        found.append(Part(_whole(value[0], "partNumber"), _text(value[1], "etag")))
    return found
