"""A store that writes by itself, as the supervisor does with the help of a serving process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.versions.disk import sync

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pyworkerd.versions.model import Record, Secrets
    from pyworkerd.versions.store import Store


def write(store: Store, kept: Record | Secrets) -> None:
    finish(store.writing(kept))


def finish(writing: Generator[Path]) -> None:
    for path in writing:
        try:
            sync(path)
        except OSError as error:
            writing.throw(error)
