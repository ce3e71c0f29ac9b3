"""From an exception to the answer that a client gets: the status and its phrase, a code, never a detail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import ERROR_HEADER, ConfigurationError, InternalError, PyworkerdError
from pyworkerd.http.writer import reason_phrase
from pyworkerd.messages import Request, Response, text_response

if TYPE_CHECKING:
    from .options import ErrorPage

logger: Final = logging.getLogger("pyworkerd.server")


def is_ours(error: BaseException) -> bool:
    """Whether the operator has to look at it: a bug or a configuration that cannot work, not a client or a
    tenant."""
    return not isinstance(error, PyworkerdError) or isinstance(error, (ConfigurationError, InternalError))


def code_of(error: BaseException) -> str:
    """The code by which a client, a log and a metric know it."""
    return error.code if isinstance(error, PyworkerdError) else InternalError.code


def log_failure(error: BaseException, request: Request | None) -> None:
    """Log what is ours, with its traceback; the request's target is left out, it may hold secrets."""
    if is_ours(error):
        method = request.method if request is not None else "?"
        logger.error("a %s request failed", method, exc_info=(type(error), error, error.__traceback__))


def plain_answer(error: BaseException) -> Response:
    """The answer that reveals nothing."""
    known = InternalError() if is_ours(error) or not isinstance(error, PyworkerdError) else error
    headers = [(ERROR_HEADER, known.code), *known.headers]
    if known.retry_after is not None:
        headers.append(("retry-after", str(known.retry_after)))
    return text_response(known.status, f"{reason_phrase(known.status)}\n", headers)


def answer(error: Exception, request: Request | None, page: ErrorPage | None) -> Response:
    """The page's answer if it has one with its body in hand, otherwise the plain one."""
    if page is not None and request is not None:
        try:
            response = page(request, error)
        except Exception:
            logger.exception("the error page failed")
        else:
            if response is not None and response.body.data is not None:
                return response
    return plain_answer(error)
