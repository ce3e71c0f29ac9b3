"""`pyworkerd replay FILE`: run a recorded invocation again, step by step, and say whether it did the same."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config import ConfigError
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.engines import Engines
from pyworkerd_isolates.errors import IsolateError, RecordingError
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.replay.again import replay
from pyworkerd_isolates.replay.recording import MAX_FILE, decode
from pyworkerd_isolates.replay.telling import effect_fields, event_fields, line, read_effects, read_events
from pyworkerd_isolates.replay.tracing import place_of, roomier

from pyworkerd.observe.text import one_line
from pyworkerd.problems import FAILED, Refusal
from pyworkerd.replay.finding import Trace, build, bundle_of, find
from pyworkerd.supervisor.reports import Readable

from .configuration import add_configuration, read_configuration
from .terminal import has_colours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.replay.again import Again, Difference
    from pyworkerd_isolates.replay.recording import Recording, Step
    from pyworkerd_isolates.replay.tracing import Line

    from pyworkerd.replay.finding import Found

DIFFERENT: Final = FAILED
"""Exit status: it did something else."""
_WHY: Final = (
    "the image that it was recorded on is not in this machine's cache, and has to be built again",
    "to show lines, the worker's code is needed",
)
_COLOURS: Final = {".": "2", "<": "36", ">": "33", "|": "2", "=": "32", "!": "31"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd replay x.recording;  pyworkerd replay x.recording config.toml --json;  "
        "pyworkerd replay x.recording config.toml --break shop.py:12"
    )
    add = parser.add_argument
    add("recording", type=Path, metavar="FILE", help="what `pyworkerd serve --record` wrote")
    add_configuration(parser)
    add("--json", action="store_true", help="print JSON, one object per line")
    add("--step", type=int, metavar="N", help="show this step alone; the first is 1")
    lines = parser.add_mutually_exclusive_group()
    lines.add_argument("--trace", action="store_true", help="show the lines that run, of a worker in Python")
    lines.add_argument(
        "--break", type=_place, action="append", dest="places", metavar="FILE:LINE",
        help="show what there is whenever this line runs, in Python; repeatable",
    )  # fmt: skip
    add("--changed", action="store_true", help="run the configuration's code, whatever was recorded")


def _place(text: str) -> tuple[str, int]:
    try:
        return place_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    """Replay it. Raises `Refusal` for what cannot be."""
    view = _Json() if options.json else _Readable()
    try:
        recording = decode(_read(options.recording))
        return _replay(recording, options, view)
    except IsolateError as error:
        raise Refusal.of(f"{options.recording}: {error}") from None
    except OSError as error:
        raise Refusal.of(f"{options.recording}: {error.strerror or error}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise RecordingError(f"it is larger than a recording can be ({MAX_FILE} bytes)")
    return data


def _replay(recording: Recording, options: argparse.Namespace, view: _View) -> int:
    cache, machine = Cache(), Machine()
    engines = Engines(machine, cache, Readable().progress)
    try:
        found = _image(recording, options, engines, cache)
        view.begins(recording, found)
        number, difference = 0, None
        try:
            limits = recording.limits if _trace(options) is None else roomier(recording.limits)
            for each in replay(recording, found.image, limits):
                number, difference = each.number + 1, each.difference
                if options.step in (None, number):
                    view.step(each, limits)
        finally:
            found.image.close()
        view.ends(number, len(recording.steps), difference)
    finally:
        engines.close()
        machine.close()
    return 0 if difference is None else DIFFERENT


def _trace(options: argparse.Namespace) -> Trace | None:
    if options.places:
        return Trace(tuple(options.places))
    return Trace(None) if options.trace else None


def _image(recording: Recording, options: argparse.Namespace, engines: Engines, cache: Cache) -> Found:
    named = options.config is not None or bool(options.named)
    trace = _trace(options)
    if not named and not options.changed and trace is None:
        found = find(recording, engines, cache)
        if found is not None:
            return found
    try:
        config = read_configuration(options)
    except ConfigError:
        if named:
            raise
        raise RecordingError(
            f"{_WHY[trace is not None]}: name the configuration of {recording.worker!r}"
        ) from None
    bundle = bundle_of(config, recording.worker)
    return build(recording, bundle, engines, cache, changed=options.changed, trace=trace)


class _View:
    """How it is shown."""

    def begins(self, recording: Recording, found: Found) -> None:
        """What is replayed, and on what."""
        raise NotImplementedError

    def step(self, each: Again, limits: Limits) -> None:
        """One step of it."""
        raise NotImplementedError

    def ends(self, steps: int, of: int, difference: Difference | None) -> None:
        """How it went."""
        raise NotImplementedError


class _Readable(_View):
    """For people. All of it is hostile text: what a terminal would obey is escaped."""

    def __init__(self) -> None:
        self._colours = has_colours(sys.stdout)
        self._first_ns = 0
        self._files: Mapping[str, bytes] = {}
        self._names: dict[int, dict[str, str]] = {}
        """Of each frame that a line was shown of."""

    def _say(self, mark: str, text: str) -> None:
        text = f"{mark} {one_line(text)}"
        if self._colours and mark in _COLOURS:
            text = f"\x1b[{_COLOURS[mark]}m{text}\x1b[0m"
        sys.stdout.write(f"{text}\n")

    def begins(self, recording: Recording, found: Found) -> None:
        """See `_View`."""
        self._first_ns = recording.steps[0].now_ns
        self._files = {} if found.bundle is None else found.bundle.files
        when = datetime.fromtimestamp(recording.began_ms / 1000, UTC).isoformat(timespec="milliseconds")
        self._say(
            "#", f"{recording.worker}, request {recording.request_id}, {when}, {len(recording.steps)} steps"
        )
        for hidden in recording.hidden:
            self._say("#", f"{hidden} is a placeholder")
        for remark in _remarks(recording, found.note):
            self._say("#", remark)

    def step(self, each: Again, limits: Limits) -> None:
        """See `_View`."""
        passed = (each.recorded.now_ns - self._first_ns) / 1e6
        self._say("#", f"step {each.number + 1}, at {passed:.3f} ms")
        for event in _events(each.recorded):
            self._say("<", line(event))
        for ran in each.lines:
            self._say(".", self._ran(ran))
        for effect in _effects(each.now, limits):
            if effect["kind"] == "log":
                self._say("|", f"{effect['level']} {effect['source']}: {effect['message']}")
            else:
                self._say(">", line(effect))
        if each.now.failure is not None:
            self._say(">", ": ".join(each.now.failure))

    def _ran(self, ran: Line) -> str:
        """One line that ran, with the names that are other than at the last one of its frame."""
        before = self._names.get(ran.frame, {})
        self._names[ran.frame] = ran.names
        new = [f"{name}={value}" for name, value in ran.names.items() if before.get(name) != value]
        what = "" if ran.value is None else f" {'returns' if ran.event == 'return' else 'raises'} {ran.value}"
        text = self._files.get(ran.file, b"").decode("utf-8", "replace").splitlines()[ran.line - 1 : ran.line]
        code = "".join(text).strip() if ran.event == "line" else ""
        told = [f"{ran.file}:{ran.line} {ran.function}{what}", code, " ".join(new)]
        return "  ".join(part for part in told if part)

    def ends(self, steps: int, of: int, difference: Difference | None) -> None:
        """See `_View`."""
        if difference is None:
            self._say("=", f"equal: {steps} of {of} steps did what was recorded")
            return
        self._say("!", f"different: {_where(difference)}")
        self._say("!", f"recorded: {difference.recorded}")
        self._say("!", f"now:      {difference.now}")


class _Json(_View):
    """For programs: one object per line, in ASCII."""

    def _say(self, told: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(told, default=repr) + "\n")

    def begins(self, recording: Recording, found: Found) -> None:
        """See `_View`."""
        self._say(
            {
                "event": "recording", "worker": recording.worker, "request_id": recording.request_id,
                "trace_id": recording.trace_id, "began_ms": recording.began_ms, "steps": len(recording.steps),
                "complete": recording.complete, "hidden": list(recording.hidden), "image": recording.image,
                "remarks": _remarks(recording, found.note),
            }
        )  # fmt: skip

    def step(self, each: Again, limits: Limits) -> None:
        """See `_View`."""
        self._say(
            {
                "event": "step", "step": each.number + 1, "now_ns": each.recorded.now_ns,
                "events": _events(each.recorded), "effects": _effects(each.now, limits),
                "failure": each.now.failure, "equal": each.difference is None,
                "lines": [ran._asdict() for ran in each.lines],
            }
        )  # fmt: skip

    def ends(self, steps: int, of: int, difference: Difference | None) -> None:
        """See `_View`."""
        told = None if difference is None else {
            "step": difference.step + 1, "effect": None if difference.effect is None else difference.effect + 1,
            "recorded": difference.recorded, "now": difference.now,
        }  # fmt: skip
        self._say({"event": "end", "equal": difference is None, "steps": steps, "of": of, "difference": told})


def _remarks(recording: Recording, note: str) -> list[str]:
    remarks = [note] if note else []
    if recording.differs is not None:
        remarks.append(
            f"inexact: from step {recording.differs + 1} on the real invocation did something else, because what it "
            "did depends on what is hidden here"
        )
    if not recording.complete:
        remarks.append("cut: what came later was more than a recording holds")
    return remarks


def _events(step: Step) -> list[dict[str, Any]]:
    events, blobs = read_events(step.events)
    return [event_fields(event, blobs) for event in events]


def _effects(step: Step, limits: Limits) -> list[dict[str, Any]]:
    if step.answer is None:
        return []
    try:
        return [effect_fields(each) for each in read_effects(step.answer, limits).effects]
    except IsolateError as error:
        return [{"kind": "broken", "message": str(error)}]


def _where(difference: Difference) -> str:
    effect = "" if difference.effect is None else f", effect {difference.effect + 1}"
    return f"step {difference.step + 1}{effect}"
