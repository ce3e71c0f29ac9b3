"""Static assets of versions, uploaded before the version that names them: which are missing, and then those.

A version comes last (`deploying`), and names contents by their SHA-256. So a deploy brings what no version before it
had, and one that is cut off can be done again and goes on where it was.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from pyworkerd.versions.archive import ARCHIVE
from pyworkerd.versions.model import Digest

from .api import Call, Route
from .deploying import deployable

MOST: Final = 10_000
"""Digests in one question: 700 kB of JSON."""


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What a version is to name."""

    digests: Annotated[list[Digest], msgspec.Meta(max_length=MOST)]


class Missing(msgspec.Struct):
    """What of it has to be uploaded. The rest is kept for an hour at least."""

    missing: list[Digest]


class Taken(msgspec.Struct):
    """How many contents were kept. They are removed an hour later, unless a version names them then."""

    assets: int


async def _missing(call: Call) -> Missing:
    found = await call.uploads.missing_assets(call, deployable(call).name, call.body.digests)
    return Missing(found.digests)


async def _take(call: Call) -> Taken:
    return Taken((await call.uploads.take_assets(call, deployable(call).name)).assets)


_ROOT: Final = "/services/{service}/assets"

ROUTES: Final = (
    Route(
        "POST",
        f"{_ROOT}/missing",
        _missing,
        "Which contents of static assets, by their SHA-256, have to be uploaded before a version can name them",
        Missing,
        body=Wanted,
        errors=(404, 409, 502, 503, 507),
    ),
    Route(
        "POST",
        _ROOT,
        _take,
        "Upload contents of static assets: a tar archive, compressed with gzip, of files named by their SHA-256",
        Taken,
        body=ARCHIVE,
        errors=(404, 408, 409, 422, 502, 503, 507),
    ),
)
