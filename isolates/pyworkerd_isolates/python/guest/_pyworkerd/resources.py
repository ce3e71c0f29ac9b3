"""`importlib.resources` over the bundle."""

import io
from importlib.resources.abc import Traversable, TraversableResources

from . import files


class Path(Traversable):
    """One file or folder of the bundle."""

    def __init__(self, path):
        self._path = path

    def __repr__(self):
        return f"<resource {self._path!r}>"

    @property
    def name(self):
        return self._path.rsplit("/", 1)[-1]

    def iterdir(self):
        return (Path(f"{self._path}/{name}") for name in files.listdir(self._path))

    def is_dir(self):
        return files.is_folder(self._path)

    def is_file(self):
        return files.is_file(self._path)

    def read_bytes(self):
        return files.read(self._path)

    def read_text(self, encoding=None, errors=None):
        return files.read(self._path).decode(encoding or "utf-8", errors or "strict")

    def joinpath(self, *descendants):
        return Path(files.absolute("/".join((self._path, *map(str, descendants)))))

    def open(self, mode="r", *args, **kwargs):
        raw = io.BytesIO(files.read(self._path))
        return raw if "b" in mode else io.TextIOWrapper(raw, *args, **kwargs)


class Reader(TraversableResources):
    """The resource reader of one package."""

    def __init__(self, folder):
        self._folder = folder

    def files(self):
        return Path(self._folder)
