"""What is wrong, as plain values: for the operator's eyes, for JSON, and for another process to tell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_config import ConfigError
from pyworkerd_isolates.errors import IsolateError

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_config import Config

logger = logging.getLogger("pyworkerd.config")

MISTAKE: Final = 2
"""Exit status: the operator wrote something that cannot work."""
FAILED: Final = 1


class Fault(NamedTuple):
    """One thing that is wrong; `text` is the whole sentence, the rest its parts where they are known."""

    text: str
    file: str | None = None
    line: int | None = None
    message: str | None = None
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Its parts by name, or the sentence alone."""
        return self._asdict() if self.message is not None else {"text": self.text}


class Refusal(Exception):
    """What was asked for cannot be done, and why: what a process, or a command, ends with, and its exit status."""

    def __init__(self, faults: Sequence[Fault], status: int) -> None:
        self.faults, self.status = faults, status
        super().__init__("; ".join(fault.text for fault in faults))

    @classmethod
    def of(cls, text: str, status: int = MISTAKE) -> Refusal:
        """For one reason, which is a sentence."""
        return cls([Fault(text)], status)


def faults_of(error: Exception) -> list[Fault]:
    """What an error says."""
    if isinstance(error, Refusal):
        return list(error.faults)
    if isinstance(error, ConfigurationError):
        return [Fault(sentence) for sentence in error.sentences]
    if not isinstance(error, ConfigError):
        return [Fault(str(error))]
    found = [
        Fault(
            str(problem),
            None if problem.place.file is None else str(problem.place.file),
            problem.place.line,
            problem.message,
            problem.remedy or None,
        )
        for problem in error.problems
    ]
    if error.omitted:
        found.append(Fault(f"and {error.omitted} more problems"))
    return found


def status_of(error: Exception) -> int | None:
    """The exit status; None for an error that nobody expected: that is a bug."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, ConfigError | ConfigurationError):
        return MISTAKE
    return FAILED if isinstance(error, IsolateError) else None


def warn_of(config: Config) -> None:
    """Tell the operator's log what the configuration says and means nothing here."""
    for warning in config.warnings:
        logger.warning("%s", warning)
