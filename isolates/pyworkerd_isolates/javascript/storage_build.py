"""Build the JavaScript engine that Durable Objects need: the other one, with SQLite inside.

Workers that export no class of them do without: they start from the smaller engine.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.engine import Built, Source

from .build import boot_script, fingerprint, make_constants, quickjs
from .typescript import TypeScript

if TYPE_CHECKING:
    from pyworkerd_isolates.engine import Progress


def source() -> Source:
    """How this engine is made, keyed by all that goes into it."""
    return Source("javascript_storage", fingerprint("quickjs-rs", "componentize-py"), build, TypeScript)


def build(progress: Progress) -> Built:
    """Run the build. About ten seconds on one core."""
    from pyworkerd_isolates.wasm.preview1 import lone_engine  # noqa: PLC0415 (every start would pay for it)

    from .counting import recount  # noqa: PLC0415 (every start would pay for it)
    from .glue import glue_with_storage  # noqa: PLC0415 (every start would pay for it)
    from .sqlite import SQLite, component  # noqa: PLC0415 (every start would pay for it)
    from .storage_glue import ERRNO, SQLITE  # noqa: PLC0415 (every start would pay for it)

    progress("taking SQLite out of CPython (once per machine, takes some seconds)")
    sqlite = SQLite(component())
    progress("joining QuickJS and SQLite with the sandbox")
    constants = make_constants()
    merged = lone_engine(
        quickjs(),
        partial(glue_with_storage, tables=constants.data),
        assemble,
        lambda ground: sqlite.join(ground, SQLITE, ground.room + ERRNO),
        recount,
    )
    return Built(*merged, boot_script(constants, has_storage=True).encode())
