"""The files beside a worker, in memory and read only: what `open()`, `os.stat()` and `pathlib` see.

Nothing else exists. Writing gives "Read-only file system", anything unknown "No such file or directory".
"""

import errno
import io
import os
import stat as stat_bits

ROOT = "/session/metadata"
"""Where Cloudflare mounts the bundle: programs that name it absolutely find it here as well."""

_contents = {}
_folders = {"/": set()}


def add(path, data):
    """Put one file of the bundle in place. `path` is absolute and normal."""
    _contents[path] = data
    while path != "/":
        parent, _, name = path.rpartition("/")
        parent = parent or "/"
        _folders.setdefault(parent, set()).add(name)
        path = parent


def absolute(path):
    """The absolute, normal form of whatever names a file; relative names are relative to the bundle."""
    if isinstance(path, int):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if "\0" in path:
        raise ValueError("embedded null byte")
    return os.path.normpath(f"{ROOT}/{path}" if not path.startswith("/") else path)


def is_file(path):
    """Whether the bundle has this file."""
    return path in _contents


def is_folder(path):
    """Whether the bundle has this folder."""
    return path in _folders


def read(path):
    """The bytes of a file; OSError if there is none."""
    path = absolute(path)
    try:
        return _contents[path]
    except KeyError:
        raise _missing(path) from None


def _missing(path):
    code = errno.EISDIR if path in _folders else errno.ENOENT
    return OSError(code, os.strerror(code), path)


def open_(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    """`open()` for a world of files that can only be read."""
    if set(mode) - set("rbtU") or "r" not in mode:
        if set(mode) - set("rwxabt+U"):
            raise ValueError(f"invalid mode: {mode!r}")
        raise OSError(
            errno.EROFS, os.strerror(errno.EROFS), os.fspath(file) if not isinstance(file, int) else file
        )
    raw = io.BytesIO(read(file))
    raw.name = file
    raw.mode = "rb"
    if "b" in mode:
        return raw
    text = io.TextIOWrapper(raw, io.text_encoding(encoding), errors, newline)
    text.mode = mode
    return text


def stat(path, *, dir_fd=None, follow_symlinks=True):
    """`os.stat()`: kind and size; everything else is zero."""
    path = absolute(path)
    if path in _folders:
        return os.stat_result((stat_bits.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    data = _contents.get(path)
    if data is None:
        raise _missing(path)
    return os.stat_result((stat_bits.S_IFREG | 0o444, 0, 0, 1, 0, 0, len(data), 0, 0, 0))


def listdir(path="."):
    """`os.listdir()`."""
    path = absolute(path)
    if path in _folders:
        return sorted(_folders[path])
    if path in _contents:
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    raise _missing(path)


def access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    """`os.access()`: all can be read, nothing can be written."""
    path = absolute(path)
    return (path in _contents or path in _folders) and not mode & os.W_OK


class Entry:
    """`os.DirEntry`, as far as it can be known here."""

    def __init__(self, folder, name):
        self.name = name
        self.path = os.path.join(folder, name)

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"

    def stat(self, *, follow_symlinks=True):
        return stat(self.path)

    def is_dir(self, *, follow_symlinks=True):
        return absolute(self.path) in _folders

    def is_file(self, *, follow_symlinks=True):
        return absolute(self.path) in _contents

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def inode(self):
        return 0


class scandir:  # noqa: N801 - takes the place of os.scandir
    """`os.scandir()`: an iterator that is also a context manager."""

    def __init__(self, path="."):
        self._entries = iter([Entry(os.fspath(path), name) for name in listdir(path)])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self._entries = iter(())
