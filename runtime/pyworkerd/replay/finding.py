"""The image that a recording was made on: the very one, if the cache has it, or one that is built of the code again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.model import Worker
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.image import build_image, image_prefix, needs_storage, open_image
from pyworkerd_isolates.languages import LANGUAGES
from pyworkerd_isolates.replay.tracing import roomier, traced

from pyworkerd.foreign import Foreign
from pyworkerd.observe.text import one_line
from pyworkerd.sources import read_bundle

if TYPE_CHECKING:
    from pyworkerd_config import Config
    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.cache import Cache
    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.engines import Engines
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.languages import Language
    from pyworkerd_isolates.replay.recording import Recording

STARTUP_MS: Final = 60_000
"""CPU time of the top level, where it has to run again: it did run within the worker's own limit."""
NAMED: Final = 5
"""Files that are named where some have changed."""


class Trace(NamedTuple):
    """Which lines are wanted; None means all."""

    places: tuple[tuple[str, int], ...] | None


class Found(NamedTuple):
    """An image to run on, and what of it is not as it was."""

    image: Image
    note: str
    bundle: Bundle | None = None
    """Its files, where they were read."""


def find(recording: Recording, engines: Engines, cache: Cache) -> Found | None:
    """The image in the cache, if it is there. Raises `RecordingError` for a language that there is none of."""
    engine = _engine(recording, engines)
    if not recording.image.startswith(image_prefix(engine)):
        return None
    entry = cache.get(recording.image)
    return None if entry is None else _found(recording, open_image(engine, entry), cache)


def build(
    recording: Recording,
    bundle: Bundle,
    engines: Engines,
    cache: Cache,
    *,
    changed: bool,
    trace: Trace | None = None,
) -> Found:
    """The image of these files, which have to be those that ran, unless they may be `changed`; traced, if `trace` says
    which lines are wanted.

    Raises `RecordingError` or `ImageError`.
    """
    if not changed and bundle.digest()[:32] != recording.code:
        raise RecordingError(
            f"the code of {recording.worker!r} is not what was recorded{_what_changed(recording, bundle)}: check out "
            "what it was, or run what it is now with --changed"
        )
    if bundle.language.name != recording.language:
        raise RecordingError(
            f"it was recorded in {recording.language}, and the code is {bundle.language.name}"
        )
    limits = replace(recording.limits, startup_ms=STARTUP_MS)
    if trace is not None:
        bundle, limits = traced(bundle, trace.places), roomier(limits)
    image = build_image(_engine(recording, engines), cache, bundle, limits)
    if needs_storage(image, bundle) and not recording.has_storage:
        image.close()
        image = build_image(engines.of(bundle.language, has_storage=True), cache, bundle, limits)
    return _found(recording, image, cache) if trace is None else Found(image, "", bundle)


def bundle_of(config: Config, worker: str) -> Bundle:
    """The files of a worker of a configuration. Raises `RecordingError` if it has none of this name, `BundleError`."""
    for service in config.services:
        if service.name == worker and isinstance(service.kind, Worker):
            folder = Foreign(config).folder(service.kind, service.place)
            return read_bundle(folder, service.kind, config.extensions)
    raise RecordingError(f"the configuration has no worker {worker!r}, whose recording this is")


def _engine(recording: Recording, engines: Engines) -> Engine:
    return engines.of(_language(recording.language), has_storage=recording.has_storage)


def _language(name: str) -> Language:
    for language in LANGUAGES:
        if language.name == name and not language.is_program:
            return language
    raise RecordingError(f"it was recorded in {name[:32]!r}, which cannot be replayed")


def _found(recording: Recording, image: Image, cache: Cache) -> Found:
    if image.name != recording.image:
        return Found(image, "not on the image that was recorded: the engine is another one, or the code is")
    with (cache.folder / image.name).open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == recording.image_digest
    return Found(image, "" if same else "on an image that was built again: the top level has run anew")


def _what_changed(recording: Recording, bundle: Bundle) -> str:
    if not recording.files:
        return ""
    now = {name: hashlib.sha256(data).hexdigest() for name, data in bundle.files.items()}
    names = sorted(
        name for name in now.keys() | recording.files if now.get(name) != recording.files.get(name)
    )
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" ({', '.join(map(one_line, names[:NAMED]))}{more} differ)" if names else ""
