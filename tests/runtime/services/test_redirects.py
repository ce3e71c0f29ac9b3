from __future__ import annotations

import pytest
from pyworkerd.services.destination import Destination
from pyworkerd.services.redirects import FOLLOW_LIMIT, Hop, after

HERE = Destination.parse("https://a.example/start")
HEADERS = (
    ("authorization", "secret"),
    ("cookie", "secret"),
    ("content-type", "text/plain"),
    ("content-encoding", "gzip"),
    ("x-other", "kept"),
)


def hop(method: str = "GET", *, has_body: bool = False, can_replay: bool = True, number: int = 0) -> Hop:
    return Hop(method, HERE, HEADERS, has_body, can_replay, number)


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 404])
def test_other_answers_are_delivered(status: int) -> None:
    assert after(hop(), status, "/x", "follow") is None
    assert after(hop(), status, "/x", "error") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_mode_decides(status: int) -> None:
    assert after(hop(), status, "/x", "manual") is None
    assert after(hop(), status, None, "follow") is None
    with pytest.raises(ValueError, match="does not allow"):
        after(hop(), status, "/x", "error")
    following = after(hop(), status, "/x", "follow")
    assert following is not None
    assert following.destination.url == "https://a.example/x"
    assert following.number == 1


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_methods_and_bodies_follow_the_fetch_standard(status: int, method: str, expected: str) -> None:
    following = after(hop(method, has_body=True), status, "/x", "follow")
    assert following is not None
    assert following.method == expected
    became_get = method != expected
    assert following.has_body is not became_get
    names = {name for name, _ in following.headers}
    assert ("content-type" in names) is not became_get
    assert ("content-encoding" in names) is not became_get
    assert "x-other" in names


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/x", True),
        ("https://a.example:443/x", True),
        ("https://b.example/", False),
        ("https://sub.a.example/", False),
        ("https://a.example:444/", False),
        ("http://a.example/", False),
    ],
)
def test_credentials_stay_with_their_origin(location: str, kept: bool) -> None:
    following = after(hop(), 302, location, "follow")
    assert following is not None
    names = {name for name, _ in following.headers}
    assert ({"authorization", "cookie"} <= names) is kept
    assert ({"authorization", "cookie"} & names == set()) is not kept


def test_a_streamed_body_cannot_be_sent_twice() -> None:
    streamed = hop("POST", has_body=True, can_replay=False)
    with pytest.raises(ValueError, match="streamed"):
        after(streamed, 307, "/x", "follow")
    following = after(streamed, 303, "/x", "follow")
    assert following is not None
    assert not following.has_body


def test_there_is_a_limit() -> None:
    assert after(hop(number=FOLLOW_LIMIT - 1), 302, "/x", "follow") is not None
    with pytest.raises(ValueError, match="20 times"):
        after(hop(number=FOLLOW_LIMIT), 302, "/x", "follow")


@pytest.mark.parametrize("location", ["ftp://b/", "javascript:1", "http://u@b/", "http://b:0/"])
def test_locations_that_cannot_be_fetched(location: str) -> None:
    with pytest.raises(ValueError, match="cannot be fetched"):
        after(hop(), 302, location, "follow")
