"""Configurations in workerd's dialect for tests, written where a test may write."""

from __future__ import annotations

from pathlib import Path

from pyworkerd_config import Config, ConfigError, WorkerdOptions, load

DATA = Path(__file__).parents[1] / "data" / "workerd"
IMPORT = 'using W = import "/workerd/workerd.capnp";\n'
WORKER = '\nconst w :W.Worker = (modules = [(name = "w", esModule = "export default {}")]);\n'


def write(folder: Path, text: str, **files: str | bytes) -> Path:
    """A configuration, and files beside it (`worker__js` is worker.js)."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    path = folder / "config.capnp"
    path.write_text(IMPORT + text + WORKER)
    return path


def read(folder: Path, text: str, options: WorkerdOptions | None = None, **files: str | bytes) -> Config:
    """The model of a configuration."""
    return load(write(folder, text, **files), workerd=options)


def complaints(
    folder: Path, text: str, options: WorkerdOptions | None = None, **files: str | bytes
) -> list[str]:
    """What is said of a configuration that cannot be loaded: lines, messages and remedies."""
    try:
        read(folder, text, options, **files)
    except ConfigError as error:
        found = []
        for problem in error.problems:
            line = f"{problem.place.line}: " if problem.place.line is not None else ""
            found.append(line + problem.message + (f": {problem.remedy}" if problem.remedy else ""))
        return found
    raise AssertionError("it was loaded")
