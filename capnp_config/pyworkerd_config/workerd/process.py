"""Runs pycapnp in a process of its own, and says what went wrong there in the words of the configuration's author.

`child` is what runs. Whatever happens to it, a limit included, ends here as a `ConfigError`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Place
from pyworkerd_config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .files import Files

WAIT_S: Final = 30
"""On a busy machine; its limit of CPU time (10 s) is what ends it otherwise."""
MAX_ERROR_BYTES: Final = 4096
MAX_MESSAGE: Final = 300
_PROGRAM: Final = Path(__file__).with_name("child.py")
_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")
"""All that the process is told of the server's environment."""
_COMPLAINT: Final = re.compile(r"(?:^|[/ ])(\d+)\.capnp:(\d+)[^ ]*: (?:failed: |error: )?(.*)")
MISSING: Final = "install it: pip install pycapnp"


def read_texts(files: Files, constant: str) -> dict[str, Any]:
    """The values of a constant of the configuration. Raises `ConfigError`."""
    return _run("text", {name: text.encode() for name, text in files.copies.items()}, constant, files)


def read_message(path: Path, data: bytes, schema: bytes) -> dict[str, Any]:
    """The values of an encoded configuration (Cap'n Proto, "Encoding"). Raises `ConfigError`."""
    return _run("binary", {"message": data, "workerd.capnp": schema}, "", path)


def _run(form: str, copies: dict[str, bytes], constant: str, source: Files | Path) -> dict[str, Any]:
    place = Place(source if isinstance(source, Path) else source.texts[0].path)
    with tempfile.TemporaryDirectory(prefix="pyworkerd-config-") as folder:
        for name, content in copies.items():
            (Path(folder) / name).write_bytes(content)
        paths = json.dumps(sys.path)
        command = [sys.executable, "-I", str(_PROGRAM), paths, form, folder, constant]
        try:
            done = subprocess.run(  # noqa: S603 (this interpreter, a file of ours)
                command,
                cwd=folder,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConfigError([Problem(place, f"reading it took longer than {WAIT_S} s")]) from None
        result = Path(folder) / "result"
        if done.returncode != 0 or not result.is_file():
            errors = done.stderr[-MAX_ERROR_BYTES:].decode(errors="replace")
            raise ConfigError([_ended(done.returncode, errors, source, place)])
        return _answer(result.read_bytes(), source, place)


def _answer(data: bytes, source: Files | Path, place: Place) -> dict[str, Any]:
    import msgpack  # noqa: PLC0415 (start-up time)

    answer: dict[str, Any] = msgpack.unpackb(data, strict_map_key=False, unicode_errors="replace")
    match answer:
        case {"config": dict(values)}:
            return values
        case {"refused": [str(message), str(remedy)]}:
            raise ConfigError([Problem(place, message, remedy)])
        case {"absent": str()}:
            message = "workerd's configurations are read by pycapnp, which is not installed"
            raise ConfigError([Problem(place, message, MISSING)])
        case {"wrong": str(text)}:
            raise ConfigError([_complaint(text, source, place)])
    raise ConfigError([Problem(place, "what pycapnp made of it cannot be understood")])


def _ended(status: int, errors: str, source: Files | Path, place: Place) -> Problem:
    """Why the process ended before its time."""
    if any(word in errors for word in ("bad_alloc", "Cannot allocate memory", "MemoryError")):
        return Problem(place, "it takes more memory than a configuration may (1 GiB)")
    if -status in _TOO_LONG:
        return Problem(place, "reading it takes more time than a configuration may (10 s)")
    if not errors.strip():
        return Problem(
            place,
            f"pycapnp ended while it read it (status {status})",
            "look for a name or a list without end",
        )
    return _complaint(errors, source, place)


_TOO_LONG: Final = (24, 9)
"""SIGXCPU; SIGKILL, which follows it."""


def _complaint(errors: str, source: Files | Path, place: Place) -> Problem:
    """What pycapnp says, at the place that it means: it counts lines from 0."""
    told = (line.strip() for line in errors.splitlines())
    lines = [
        line.removeprefix("what():").strip() for line in told if not line.startswith(("stack:", "terminate "))
    ]
    for line in lines:
        found = _COMPLAINT.search(line)
        if found and not isinstance(source, Path) and int(found[1]) < len(source.texts):
            at = Place(source.texts[int(found[1])].path, int(found[2]) + 1)
            return Problem(at, _said(found[3]), _remedy(found[3]))
    text = next((line for line in reversed(lines) if "failed: " in line), lines[-1] if lines else "")
    if isinstance(source, Path):
        return Problem(place, f"it is no configuration of workerd's in binary form: {_said(text)}")
    return Problem(place, f"pycapnp cannot read it: {_said(text)}")


def _said(text: str) -> str:
    said = (text.partition("failed: ")[2] or text)[:MAX_MESSAGE]
    return "".join(c if c.isprintable() else "?" for c in said)


def _remedy(text: str) -> str:
    known: Sequence[tuple[str, str]] = (
        ("Parse error", "look for a missing comma, bracket or semicolon"),
        ("Struct has no field named", "docs/support.md has all fields"),
    )
    return next((remedy for words, remedy in known if words in text), "")
