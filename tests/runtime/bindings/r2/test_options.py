"""What guests write, read: the forms of Workers, and everything else refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.r2 import options as opt
from pyworkerd.bindings.r2.model import Conditions, HttpMetadata, ListOptions, Part, Range
from pyworkerd.errors import BadCall, PyworkerdError, WorkerException
from pyworkerd.http.conditional import Tag

MD5 = "0123456789abcdef" * 2


def test_objects() -> None:
    asked = opt.put_options(
        {
            "onlyIf": {
                "etagMatches": "a",
                "uploadedBefore": 5,
                "secondsGranularity": True,
                "etagDoesNotMatch": None,
            },
            "httpMetadata": {"contentType": "text/plain", "cacheExpiry": 1000},
            "customMetadata": {"a": "b"},
            "md5": MD5.upper(),
            "storageClass": "InfrequentAccess",
            "sha1": None,
        }
    )
    assert asked.only_if == Conditions((Tag("a"),), None, 5, None, True)
    assert asked.http == HttpMetadata("text/plain", cache_expiry=1000)
    assert (asked.custom, asked.storage_class) == ({"a": "b"}, "InfrequentAccess")
    assert asked.checksum == ("md5", bytes.fromhex(MD5))
    assert opt.get_options({"range": {"offset": 1, "length": 2}}) == (None, Range(1, 2))
    assert opt.get_options({}) == (None, None)
    assert opt.list_options({"prefix": "a", "limit": 3, "include": ["httpMetadata"]}) == ListOptions(
        "a", limit=3, include=frozenset({"httpMetadata"})
    )
    assert opt.parts([[1, "x"]]) == [Part(1, "x")]


def headers(**fields: str) -> dict[str, Any]:
    return {"headers": [[name.replace("_", "-"), value] for name, value in fields.items()]}


def test_headers() -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    asked = headers(If_Match='"a"', if_none_match="*", if_modified_since=date, if_unmodified_since="no date")
    assert opt.conditions(asked) == Conditions((Tag("a"),), (Tag("*"),), None, 784111777_000, True)
    assert opt.conditions(headers()) == Conditions(seconds_granularity=True)
    assert opt.wanted_range(headers(range="bytes=0-1")) == Range(header="bytes=0-1")
    assert opt.wanted_range(headers(accept="x")) is None
    assert opt.http_metadata(headers(content_type="a/b", expires=date, x="y")) == HttpMetadata(
        "a/b", cache_expiry=784111777_000
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"onlyIf": {"etagMatches": '"a"'}}, r'should not be wrapped in quotes \("a"\)\.'),
        ({"onlyIf": {"etagMatch": "a"}}, "no option 'etagMatch'"),
        ({"onlyif": {}}, "no option 'onlyif'"),
        ({"onlyIf": headers(if_match="a")}, "Invalid ETag in if-match header"),
        ({"onlyIf": {"uploadedAfter": "x"}}, "'uploadedAfter'.*'date'"),
        ({"onlyIf": 1}, "not an object"),
        ({"md5": MD5, "sha1": "0" * 40}, "You cannot specify multiple hashing algorithms."),
        ({"md5": MD5[1:]}, "MD5 is 32 hex characters, not 31"),
        ({"sha512": "x" * 128}, "Provided SHA-512 wasn't a valid hex string"),
        ({"customMetadata": {"a": 1}}, "'customMetadata'.*'string'"),
        ({"customMetadata": []}, "'customMetadata'.*'object'"),
        ({"httpMetadata": {"contentKind": "x"}}, "no option 'contentKind'"),
        ({"storageClass": "Glacier"}, "10029"),
        ({"ssecKey": "00"}, "ssecKey is not supported"),
    ],
)
def test_what_put_refuses(asked: dict[str, Any], message: str) -> None:
    with pytest.raises((WorkerException, BadCall), match=message):
        opt.put_options(asked)


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        (opt.get_options, {"range": {"suffix": 1, "offset": 1}}),
        (opt.get_options, {"range": {"offset": 1.5}}),
        (opt.get_options, {"range": {"offset": 2**60}}),
        (opt.get_options, {"range": {"offset": True}}),
        (opt.get_options, {"range": {"headers": [["range"]]}}),
        (opt.list_options, {"limit": "3"}),
        (opt.list_options, {"include": ["etag"]}),
        (opt.list_options, {"prefix": 3}),
        (opt.parts, [[1]]),
        (opt.parts, ["ab"]),
        (opt.parts, [["1", "x"]]),
        (lambda asked: opt.put_options(asked, "createMultipartUpload"), {"md5": MD5}),
        (opt.parse, "[" * 100_000),
        (opt.parse, "[]"),
        (opt.parse, "{"),
    ],
)
def test_what_is_refused(read: Any, asked: Any) -> None:
    with pytest.raises(WorkerException) as caught:
        read(asked)
    assert caught.value.type_name == "TypeError"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "onlyIf",
        "range",
        "headers",
        "httpMetadata",
        "customMetadata",
        "md5",
        "include",
        "limit",
        "etagMatches",
        "offset",
    ]
)


@given(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=2), max_size=3))
def test_whatever_comes_is_read_or_refused(asked: dict[str, Any]) -> None:
    text = json.dumps(asked)
    for read in (opt.put_options, opt.get_options, opt.list_options, lambda values: opt.parts(list(values))):
        try:
            read(opt.parse(text))
        except PyworkerdError:
            continue
