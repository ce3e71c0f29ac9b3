"""`importlib.resources` over the bundle."""

import errno
import io
import os
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
        if set(mode) - set("rbt"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self._path)
        raw = io.BytesIO(files.read(self._path))
        return raw if "b" in mode else io.TextIOWrapper(raw, *args, **kwargs)


class Reader(TraversableResources):
    """The resource reader of one package; a namespace package may have several folders."""

    def __init__(self, folders):
        self._folders = folders

    def files(self):
        paths = [Path(folder) for folder in self._folders]
        if len(paths) == 1:
            return paths[0]
        from importlib.readers import MultiplexedPath

        return MultiplexedPath(*paths)
