"""What is known of a service's versions, as it is kept on disk and told by the API. Types only.

A *version* is what somebody uploaded: files and vars. It never changes, and its id is made of its content. A
*deployment* says which versions answer from a moment on, and how many of the requests each. The last one is live.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

FORMAT: Final = 1
"""Of the files; a later one is not read."""
CONFIGURED: Final = "configured"
"""In place of an id: the files and vars that the configuration names, as they are."""
MAX_MESSAGE: Final = 1000
MAX_NAME: Final = 256

VersionId = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16}|configured)$", max_length=16)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Message = Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE)]


class Version(msgspec.Struct, frozen=True):
    """What was uploaded."""

    id: VersionId
    at: float
    """When, in seconds since 1970."""
    by: str
    """Whose token it was."""
    message: str
    main: str
    """Main file, below the version's folder."""
    vars: dict[str, Any]
    files: int
    size: int
    """Bytes of all files."""


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the requests."""

    version: VersionId
    percent: Percent


class Deployment(msgspec.Struct, frozen=True):
    """What answered from a moment on."""

    at: float
    by: str
    message: str
    shares: tuple[Share, ...]
    """One or two, of 100 % together. The first runs everything that is no request: see `overlay`."""


class Record(msgspec.Struct, frozen=True):
    """All that is known of one service."""

    service: str
    versions: tuple[Version, ...] = ()
    """The oldest first."""
    deployments: tuple[Deployment, ...] = ()
    format: int = FORMAT

    @property
    def live(self) -> tuple[Share, ...]:
        """What answers now."""
        return self.deployments[-1].shares if self.deployments else (Share(CONFIGURED, 100.0),)


class Secrets(msgspec.Struct, frozen=True):
    """Secrets of one service, which are never told again."""

    service: str
    values: dict[str, str] = {}
    format: int = FORMAT

    def __repr__(self) -> str:
        return f"<Secrets of {self.service!r}: {', '.join(sorted(self.values))}>"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an upload says besides its files."""

    main: str
    vars: dict[str, Any] = {}


class Live(msgspec.Struct, frozen=True):
    """What a serving process has to know of a service: what answers, and its secrets."""

    service: str
    folder: str
    """Where its versions' files are."""
    shares: tuple[tuple[Version | None, float], ...]
    """None: as it is configured."""
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Live {self.service!r}>"
