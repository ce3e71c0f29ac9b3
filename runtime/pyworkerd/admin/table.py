"""All rows of the API. What has rows of its own has them beside their handlers; here they come together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import assets, deploying, logs, session, status
from .api import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .api import Call


async def _document(_call: Call) -> dict[str, Any]:
    from importlib.metadata import version  # noqa: PLC0415 (20 ms, once somebody asks)

    from .openapi import document  # noqa: PLC0415 (the same)

    return document(ROUTES, version("pyworkerd"))


ROUTES: Final[Sequence[Route]] = (
    Route("GET", "/openapi.json", _document, "This document", dict[str, Any]),
    *session.ROUTES,
    *status.ROUTES,
    *logs.ROUTES,
    *deploying.ROUTES,
    *assets.ROUTES,
)
