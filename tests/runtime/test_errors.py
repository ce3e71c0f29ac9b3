"""The tree of errors: whose fault, which status, one stable code each."""

from __future__ import annotations

import inspect
import re

import pytest
from pyworkerd import errors
from pyworkerd.errors import BodyTooLarge, IsolateLost, Overloaded, PyworkerdError, WorkerException

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PyworkerdError)]
BRANCHES = (
    errors.ConfigurationError,
    errors.ClientError,
    errors.NoRoute,
    errors.WorkerError,
    errors.LimitExceeded,
    errors.Overloaded,
    errors.IsolateLost,
    errors.UpstreamError,
    errors.StorageError,
    errors.InternalError,
)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_is_somebodys_fault_and_has_code_and_status(kind: type[PyworkerdError]) -> None:
    assert kind is PyworkerdError or sum(issubclass(kind, branch) for branch in BRANCHES) == 1
    assert re.fullmatch("[a-z][a-z_]*", kind.code)
    assert 400 <= kind.status < 600
    assert (kind.status == 503) == issubclass(
        kind, errors.LimitExceeded | errors.Overloaded | errors.IsolateLost | errors.StorageBusy
    )
    assert kind.__name__ in (errors.__doc__ or "")


def test_where_trying_again_helps_the_client_is_told_when() -> None:
    assert {kind for kind in ALL if kind.retry_after is not None} == {
        Overloaded,
        IsolateLost,
        errors.StorageBusy,
    }


def test_errors_build_their_sentences_from_facts() -> None:
    assert str(BodyTooLarge(7)) == "the body is larger than 7 bytes"
    assert str(WorkerException("ValueError", "no")) == "ValueError: no"
    assert str(WorkerException("ValueError", "")) == "ValueError"
