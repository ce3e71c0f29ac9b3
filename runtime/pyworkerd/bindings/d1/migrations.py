"""Migrations: numbered files of SQL in a folder, applied in the order of their names (Wrangler's `migrations_dir`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 10 << 20
"""Of one file: migrations are text that people write."""


def read(folder: Path) -> list[tuple[str, str]]:
    """Name and text of every migration. Blocks on the disk. Raises ValueError with what is wrong, and OSError."""
    files = sorted(
        path for path in folder.iterdir() if path.suffix == ".sql" and not path.name.startswith(".")
    )
    if len(files) > MAX_FILES:
        raise ValueError(f"there are more than {MAX_FILES} migrations")
    return [(path.name, _text(path)) for path in files]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES >> 20} MiB")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8") from None
