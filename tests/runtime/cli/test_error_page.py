"""The page of `--dev`: whatever a tenant puts into it stays text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.cli.error_page import MAX_FAULTS, SHOWN, error_page, trouble_page
from pyworkerd.errors import ConfigurationError, ExceededCpu, InternalError, Overloaded, WorkerException
from pyworkerd.messages import Request
from pyworkerd.problems import Fault

REQUEST = Request("GET", "http://a/b")
ALLOWED = {"html", "meta", "title", "style", "h1", "p", "pre", "br", "code"}


class Tags(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(error: Exception, request: Request = REQUEST) -> str:
    answer = error_page(request, error)
    assert answer is not None
    assert answer.body.data is not None
    return answer.body.data.decode()


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_becomes_an_element(name: str, message: str, traceback: str, url: str) -> None:
    tags = Tags()
    tags.feed(page(WorkerException(name, message, traceback), Request("GET", url)))
    assert set(tags.found) <= ALLOWED
    assert tags.found.count("h1") == 1


def test_it_says_type_message_and_traceback() -> None:
    tags = Tags()
    tags.feed(page(WorkerException("KeyError", "'<x>'", "Traceback:\n  line 1\n")))
    assert tags.texts.count("KeyError") == 2
    assert "'<x>'" in tags.texts
    assert "Traceback:\n  line 1\n" in tags.texts
    assert len(page(WorkerException("E", "", "x" * 10 * SHOWN))) < 2 * SHOWN


def test_limits_have_a_page_and_keep_their_status() -> None:
    answer = error_page(REQUEST, ExceededCpu("more than 50 ms"))
    assert answer is not None
    assert (answer.status, answer.header("x-pyworkerd-error")) == (503, "exceeded_cpu")
    overloaded = error_page(REQUEST, Overloaded("full"))
    assert overloaded is not None
    assert overloaded.header("retry-after") == "1"
    assert overloaded.header("content-type") == "text/html;charset=UTF-8"
    assert overloaded.header("cache-control") == "no-store"


@pytest.mark.parametrize("error", [ValueError("a bug"), InternalError("a bug"), ConfigurationError("/etc/x")])
def test_what_is_not_the_workers_doing_has_none(error: Exception) -> None:
    assert error_page(REQUEST, error) is None


def test_who_does_not_want_html_gets_text() -> None:
    request = Request("GET", "http://a/b", (("accept", "*/*"),))
    answer = error_page(request, WorkerException("KeyError", "'<x>'", "Traceback:\n  line 1\n"))
    assert answer is not None
    assert (answer.status, answer.header("content-type")) == (500, "text/plain;charset=UTF-8")
    assert answer.body.data == b"KeyError: '<x>'\nTraceback:\n  line 1\n"
    assert page(ExceededCpu("much"), Request("GET", "/", (("accept", "text/html,*/*"),))).startswith(
        "<!doctype"
    )


@given(st.lists(st.text(), min_size=1))
def test_files_that_cannot_be_loaded_have_a_page_that_stays_text(texts: list[str]) -> None:
    answer = trouble_page([Fault(text) for text in texts])
    assert (answer.status, answer.header("x-pyworkerd-error")) == (500, "configuration")
    assert answer.body.data is not None
    tags = Tags()
    tags.feed(answer.body.data.decode())
    assert set(tags.found) <= ALLOWED
    assert tags.found.count("p") <= MAX_FAULTS + 2


def test_a_page_of_many_faults_says_how_many_there_are() -> None:
    answer = trouble_page([Fault("a:1: b\n\n> 1 | <code>"), *([Fault("x")] * 30)])
    assert answer.body.data is not None
    tags = Tags()
    tags.feed(answer.body.data.decode())
    assert "> 1 | <code>" in tags.texts
    assert f"and {31 - MAX_FAULTS} more" in tags.texts
