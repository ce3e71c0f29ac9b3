"""Fuzz for so many seconds: `make fuzz SECONDS=600`, or `python -m tests.fuzz.run --seconds 600 [target ...]`.

With atheris the search follows coverage; without it, hypothesis mutates the same seeds. Inputs that reached something
new are kept in `.fuzz/<target>`, so that the next run begins where this one ended; what breaks a promise is written
beside them. Exit status: 0 nothing found, 1 something.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".fuzz"
SHARES = {
    "parsers": 2,
    "connection": 5,
    "http2": 2,
    "edge": 1,
    "effects": 2,
    "codec": 1,
    "caches": 1,
    "feed": 1,
}
"""The targets, and how the time is divided: the connection has by far the most states, and the slowest runs."""


def main() -> int:
    """Each target in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.run", description="Fuzz front end and protocol."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(SHARES))
    parser.add_argument(
        "--seconds", type=int, default=60, help="for all targets together (default %(default)s)"
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.targets) - SHARES.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(SHARES)}")
    chosen = options.targets or list(SHARES)
    if options.here:
        _fuzz(chosen[0], options.seconds)
        return 0
    shares = sum(SHARES[name] for name in chosen)
    found = [name for name in chosen if not _apart(name, max(options.seconds * SHARES[name] // shares, 1))]
    print(f"found something in: {', '.join(found)}" if found else "nothing found")
    return 1 if found else 0


def _apart(name: str, seconds: int) -> bool:
    """Run one target in a child. Whether it found nothing."""
    print(f"{name}: {seconds} s", flush=True)
    KEPT.mkdir(exist_ok=True)
    log = KEPT / f"{name}.log"
    command = [sys.executable, "-m", "tests.fuzz.run", "--here", "--seconds", str(seconds), name]
    with log.open("w") as file:
        child = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False)
    text = log.read_text(encoding="utf-8", errors="replace")
    runs = re.findall(r"(?:Done|number_of_executed_units:) (\d+)", text)
    print(f"{name}: {max(map(int, runs), default=0):,} runs", flush=True)
    if child.returncode:
        print(text[-4000:])
    return child.returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    # What is instrumented must not have been imported before, so nothing of ours is at the top of this file.
    if importlib.util.find_spec("atheris") is None:
        _by_hypothesis(name, seconds)
    else:
        _by_coverage(name, seconds)


def _by_coverage(name: str, seconds: int) -> None:
    import atheris  # noqa: PLC0415 (see above)

    with atheris.instrument_imports(include=["pyworkerd", "pyworkerd_isolates", "h11", "h2", "hpack"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    target, folder, words = TARGETS[name], KEPT / name, KEPT / f"{name}.dict"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in target.words), encoding="ascii")
    arguments = [
        f"-max_total_time={seconds}", "-max_len=2048", "-timeout=300", "-print_final_stats=1", f"-dict={words}",
        f"-artifact_prefix={folder}-", str(folder),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *arguments], target.run)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    plain = set(map(chr, range(32, 127))) - set('"\\')
    return "".join(chr(octet) if chr(octet) in plain else f"\\x{octet:02x}" for octet in word)


def _by_hypothesis(name: str, seconds: int) -> None:
    from hypothesis import given, settings  # noqa: PLC0415

    from tests.fuzz.strategies import inputs  # noqa: PLC0415
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    target, runs, end = TARGETS[name], 0, time.monotonic() + seconds

    @settings(database=None, deadline=None)
    @given(inputs(target))
    def once(data: bytes) -> None:
        try:
            target.run(data)
        except BaseException:
            (KEPT / f"{name}-crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            print(f"found: {data!r}")
            raise

    while time.monotonic() < end:
        once.hypothesis.fuzz_one_input(os.urandom(2048))  # type: ignore[attr-defined]
        runs += 1
    print(f"Done {runs}")


if __name__ == "__main__":
    sys.exit(main())
