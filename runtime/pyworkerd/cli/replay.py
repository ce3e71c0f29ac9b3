"""`pyworkerd replay FILE`: run a recorded invocation again, step by step, and say whether it did the same."""

from __future__ import annotations

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

from pyworkerd.observe.text import one_line
from pyworkerd.problems import FAILED, MISTAKE, Fault, Refusal
from pyworkerd.replay.finding import build, bundle_of, find
from pyworkerd.supervisor.reports import Readable

from .configuration import add_configuration, read_configuration
from .terminal import has_colours

if TYPE_CHECKING:
    import argparse

    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.replay.again import Again, Difference
    from pyworkerd_isolates.replay.recording import Recording, Step

    from pyworkerd.replay.finding import Found

DIFFERENT: Final = FAILED
"""Exit status: it did something else."""
_COLOURS: Final = {"<": "36", ">": "33", "|": "2", "=": "32", "!": "31"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd replay x.recording;  pyworkerd replay x.recording config.toml --json"
    add = parser.add_argument
    add("recording", type=Path, metavar="FILE", help="what `pyworkerd serve --record` wrote")
    add_configuration(parser)
    add("--json", action="store_true", help="print JSON, one object per line")
    add("--step", type=int, metavar="N", help="show this step alone; the first is 1")
    add("--changed", action="store_true", help="run the configuration's code, whatever was recorded")


def run(options: argparse.Namespace) -> int:
    """Replay it. Raises `Refusal` for what cannot be."""
    view = _Json() if options.json else _Readable()
    try:
        recording = decode(_read(options.recording))
        return _replay(recording, options, view)
    except IsolateError as error:
        raise Refusal([Fault(f"{options.recording}: {error}")], MISTAKE) from None
    except OSError as error:
        raise Refusal([Fault(f"{options.recording}: {error.strerror or error}")], MISTAKE) from None


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
        view.begins(recording, found.note)
        number, difference = 0, None
        try:
            for each in replay(recording, found.image):
                number, difference = each.number + 1, each.difference
                if options.step in (None, number):
                    view.step(each, recording.limits)
        finally:
            found.image.close()
        view.ends(number, len(recording.steps), difference)
    finally:
        engines.close()
        machine.close()
    return 0 if difference is None else DIFFERENT


def _image(recording: Recording, options: argparse.Namespace, engines: Engines, cache: Cache) -> Found:
    named = options.config is not None or bool(options.named)
    if not named and not options.changed:
        found = find(recording, engines, cache)
        if found is not None:
            return found
    try:
        config = read_configuration(options)
    except ConfigError:
        if named:
            raise
        raise RecordingError(
            f"the image that it was recorded on is not in this machine's cache: name the configuration of "
            f"{recording.worker!r}, so that it can be built again"
        ) from None
    return build(recording, bundle_of(config, recording.worker), engines, cache, changed=options.changed)


class _View:
    """How it is shown."""

    def begins(self, recording: Recording, note: str) -> None:
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

    def _say(self, mark: str, text: str) -> None:
        text = f"{mark} {one_line(text)}"
        if self._colours and mark in _COLOURS:
            text = f"\x1b[{_COLOURS[mark]}m{text}\x1b[0m"
        sys.stdout.write(f"{text}\n")

    def begins(self, recording: Recording, note: str) -> None:
        """See `_View`."""
        self._first_ns = recording.steps[0].now_ns
        when = datetime.fromtimestamp(recording.began_ms / 1000, UTC).isoformat(timespec="milliseconds")
        self._say(
            "#", f"{recording.worker}, request {recording.request_id}, {when}, {len(recording.steps)} steps"
        )
        for hidden in recording.hidden:
            self._say("#", f"{hidden} is a placeholder")
        for remark in _remarks(recording, note):
            self._say("#", remark)

    def step(self, each: Again, limits: Limits) -> None:
        """See `_View`."""
        passed = (each.recorded.now_ns - self._first_ns) / 1e6
        self._say("#", f"step {each.number + 1}, at {passed:.3f} ms")
        for event in _events(each.recorded):
            self._say("<", line(event))
        for effect in _effects(each.now, limits):
            if effect["kind"] == "log":
                self._say("|", f"{effect['level']} {effect['source']}: {effect['message']}")
            else:
                self._say(">", line(effect))
        if each.now.failure is not None:
            self._say(">", ": ".join(each.now.failure))

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

    def begins(self, recording: Recording, note: str) -> None:
        """See `_View`."""
        self._say(
            {
                "event": "recording", "worker": recording.worker, "request_id": recording.request_id,
                "trace_id": recording.trace_id, "began_ms": recording.began_ms, "steps": len(recording.steps),
                "complete": recording.complete, "hidden": list(recording.hidden), "image": recording.image,
                "remarks": _remarks(recording, note),
            }
        )  # fmt: skip

    def step(self, each: Again, limits: Limits) -> None:
        """See `_View`."""
        self._say(
            {
                "event": "step", "step": each.number + 1, "now_ns": each.recorded.now_ns,
                "events": _events(each.recorded), "effects": _effects(each.now, limits),
                "failure": each.now.failure, "equal": each.difference is None,
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
