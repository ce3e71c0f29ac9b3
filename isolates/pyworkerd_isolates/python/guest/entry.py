"""The engine's two exports. componentize-py builds the engine from this module; see `isolate.wit`."""

import importlib
import os

from _pyworkerd import importer

_packed = importer.pack(os)  # first, so that what follows finds room in what this frees

PRELOADED = """
asyncio base64 collections.abc contextlib copy dataclasses datetime decimal email.message encodings.ascii encodings.idna
encodings.latin_1 enum fractions functools gc hashlib heapq hmac html http importlib.metadata importlib.resources
inspect io itertools json linecache logging math operator pathlib pprint queue random re secrets socket statistics
string struct textwrap threading time tokenize traceback types typing unicodedata urllib.parse uuid
warnings weakref zlib zoneinfo
""".split()  # noqa: SIM905 - it reads as the list that it is
"""What most workers import anyway: in the base image it costs no start-up time and no private memory."""
for _name in PRELOADED:
    importlib.import_module(_name)

import wit_world
from _pyworkerd import logs, step, system, worker

importer.install(_packed)
system.install()
logs.install()


class WitWorld(wit_world.WitWorld):
    """What the host may call."""

    def load(self, data):
        """Once, before the image is taken: run a worker's top level."""
        return step.load(data, worker.load)

    step = staticmethod(step.step)  # itself, which every step passes
