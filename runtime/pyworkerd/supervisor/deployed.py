"""A configuration with what was deployed on top of it. Where nothing was, nothing is imported to find that out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from pyworkerd_config import Config

    from pyworkerd.versions.current import Change

FOLDER: Final = "versions"
"""Below `state_dir`."""
MAX_BYTES: Final = 16 << 20
"""Of what serving processes are told: half of the longest message."""


def _nothing() -> Generator[Path]:
    """Nothing has to be written."""
    yield from ()


class Deployed(NamedTuple):
    """What is to be served."""

    config: Config
    lives: bytes = b""
    """What makes it of the file's, for serving processes."""
    keeping: Callable[[], Generator[Path]] = _nothing
    """Writes what changes with it, before it may be served: see `versions.store.Store.writing`."""


def read(config: Config, change: Change | None = None) -> Deployed:
    """What was deployed, and one change more. Blocks on the disk for a moment.

    Raises `ConfigurationError` for what cannot be read, `RuleError` for a change that cannot be.
    """
    if change is None and not (config.state_dir / FOLDER).is_dir():
        return Deployed(config)
    from pyworkerd.versions.current import current, encode, keeping  # noqa: PLC0415 (start-up time)

    found = current(config, change)
    lives = encode(found.lives)
    if len(lives) > MAX_BYTES:
        raise ConfigurationError(
            f"all vars and secrets that were deployed have {len(lives)} bytes; {MAX_BYTES} can be"
        )
    return Deployed(found.config, lives, partial(keeping, found))


def made_of(config: Config, lives: bytes) -> Config:
    """In a serving process: the configuration with what the supervisor says was deployed."""
    if not lives:
        return config
    from pyworkerd.versions.current import with_deployed  # noqa: PLC0415 (start-up time)

    return with_deployed(config, lives)


def trial_of(change: Change | None) -> bytes:
    """What the first process has to try, for that process."""
    if change is None or change.trial is None:
        return b""
    from pyworkerd.versions.trial import encode  # noqa: PLC0415 (start-up time)

    return encode(change.trial)
