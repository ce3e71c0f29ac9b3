"""What is known of a service's versions, as it is kept on disk and told by the API. Types only.

A *version* is what somebody uploaded: files and vars. It never changes, and its id is made of its content. A
*deployment* says which versions answer from a moment on, and how many of the requests each. The last one is live.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

FORMAT: Final = 1
"""Of the files; a later one is not read."""
CONFIGURED: Final = "configured"
"""In place of an id: the files and vars that the configuration names, as they are."""
MAX_MESSAGE: Final = 1000
MAX_NAME: Final = 256

VersionId = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16}|configured)$", max_length=16)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", max_length=64)]
"""SHA-256 of a content."""
BindingName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]*$", max_length=128)]
WorkerFirst = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...], msgspec.Meta(max_length=100)
]
"""Paths (Workers: 100 of 100 characters)."""
Message = Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE)]


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How static assets answer: see `pyworkerd_config.model.Assets`."""

    binding: BindingName | None = None
    html_handling: Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"] = (
        "auto-trailing-slash"
    )
    not_found_handling: Literal["none", "404-page", "single-page-application"] = "none"
    run_worker_first: bool | WorkerFirst = False


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an upload says of static assets, whose contents have been uploaded before."""

    files: dict[str, Digest]
    """By their paths, which begin with a slash."""
    settings: SiteSettings = SiteSettings()


class Site(msgspec.Struct, frozen=True):
    """The static assets of a version."""

    settings: SiteSettings
    files: int
    size: int
    """Bytes of all of them."""


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
    site: Site | None = None
    """None: those that the configuration names, if any."""


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
    sites: str
    """Where their static assets are."""
    shares: tuple[tuple[Version | None, float], ...]
    """None: as it is configured."""
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Live {self.service!r}>"
