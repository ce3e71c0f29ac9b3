"""Which version of a package is installed, without `importlib.metadata` (20 ms of imports at every start)."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def installed_version(module: str, distribution: str) -> str:
    """The version in the name of the package's metadata folder; asks `importlib.metadata` where there is none."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin is not None:
        prefix = distribution.replace("-", "_") + "-"
        for folder in Path(spec.origin).parent.parent.glob(f"{prefix}*.dist-info"):
            return folder.name.removeprefix(prefix).removesuffix(".dist-info")
    from importlib.metadata import version  # noqa: PLC0415 (only where the folder does not tell)

    return version(distribution)
