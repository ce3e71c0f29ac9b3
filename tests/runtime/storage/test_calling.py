"""Calling a thread: one call ends one wait, whatever it is made of, and none is made while the lock is held."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.storage import calling
from pyworkerd.storage.calling import Call, CallingLock, new_call

if TYPE_CHECKING:
    from collections.abc import Callable


def none_left(*_: Any) -> Any:
    raise OSError(24, "Too many open files")


def with_pipe(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(os, "eventfd", raising=False)


def without_descriptors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(calling._Written, "__init__", none_left)


@pytest.mark.parametrize("where", [lambda _: None, with_pipe, without_descriptors])
def test_a_call_ends_a_wait_of_a_thread(
    where: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    where(monkeypatch)
    call, noted = new_call(), threading.Semaphore(0)

    def waits() -> None:
        for _ in range(2):
            call.wait()
            noted.release()

    thread = threading.Thread(target=waits)
    thread.start()
    for _ in range(2):
        assert not noted.acquire(blocking=False)
        call.make()
        assert noted.acquire(timeout=10)
    thread.join()
    call.close()


class Noted(Call):
    """Whether the lock was free when it was made."""

    def __init__(self, lock: CallingLock) -> None:
        self.lock, self.free = lock, list[bool]()

    def make(self) -> None:
        with self.lock:
            self.free.append(True)


def test_calls_are_made_once_and_when_the_lock_is_free() -> None:
    lock = CallingLock()
    first, second = Noted(lock), Noted(lock)
    with lock:
        lock.call(first)
        lock.call(second)
        assert not first.free
    assert (first.free, second.free) == ([True], [True])
    with pytest.raises(ValueError, match="no"), lock:
        lock.call(first)
        raise ValueError("no")
    assert (first.free, second.free) == ([True, True], [True])
