"""What ended an isolate, in the words of the runtime's errors."""

from __future__ import annotations

import pytest
from pyworkerd import errors
from pyworkerd.dispatch.failures import translate
from pyworkerd_isolates import errors as inside
from pyworkerd_isolates.limits import Limits

LIMITS = Limits(cpu_ms=70, memory_mb=90)


@pytest.mark.parametrize(
    ("error", "expected", "word"),
    [
        (inside.CpuExhausted("x"), errors.ExceededCpu, "70 ms"),
        (inside.MemoryExhausted("x"), errors.ExceededMemory, "90 MB"),
        (inside.OutputTooLarge("so much"), errors.ExceededOutput, "so much"),
        (inside.ProtocolError("malformed"), errors.BadEffect, "malformed"),
        (inside.Refused("fd_write"), errors.WorkerException, "fd_write"),
        (inside.StackExhausted("deep"), errors.WorkerException, "deep"),
        (inside.Trap("unreachable"), errors.WorkerException, "unreachable"),
        (errors.IsolateLost("as it is"), errors.IsolateLost, "as it is"),
    ],
)
def test_each_has_its_word(error: Exception, expected: type[Exception], word: str) -> None:
    found = translate(error, LIMITS)
    assert type(found) is expected
    assert word in str(found)


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), KeyboardInterrupt()])
def test_what_is_nobodys_is_a_bug(error: BaseException) -> None:
    assert translate(error, LIMITS) is None


def test_every_error_of_an_isolate_has_a_word() -> None:
    kinds = [inside.IsolateError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        assert translate(kind("x"), LIMITS) is not None
