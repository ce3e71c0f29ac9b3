"""What a tail worker is told of one invocation, as long as it is being gathered. Pure: the caller brings the time.

Names and outcomes are those of Workers (TraceItem; workerd, trace.capnp). Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OK: Final = "ok"
CANCELED: Final = "canceled"
OUTCOMES: Final = {
    "exceeded_cpu": "exceededCpu",
    "exceeded_memory": "exceededMemory",
    "exceeded_wall_time": "exceededWallTime",
    "internal": "internalError",
    "overloaded": "loadShed",
}
"""By the code of the error that was answered; any other is an `exception`."""
LEVELS: Final = {"info": "log", "warning": "warn", "critical": "error"}
"""Where Workers have another name for one of ours."""
MAX_CHARACTERS: Final = 256 * 1024
"""Of the texts of one item. What comes after them is left out, and the item says that it was truncated."""
ENTRY: Final = 64
"""Characters that an entry is reckoned at besides its texts: empty ones are not free."""


class TraceItem:
    """Of one invocation."""

    __slots__ = (
        "_about",
        "_began",
        "_characters",
        "_event",
        "_exceptions",
        "_logs",
        "outcome",
        "status",
        "truncated",
    )

    def __init__(
        self,
        worker: str,
        entrypoint: str | None,
        event: Mapping[str, Any],
        model: str,
        now: float,
        characters: int = 0,
    ) -> None:
        self._began, self._event = now, event
        self._about = {"scriptName": worker, "entrypoint": entrypoint, "executionModel": model}
        self._logs: list[dict[str, Any]] = []
        self._exceptions: list[dict[str, Any]] = []
        self._characters = characters
        self.outcome: str | None = None
        """None until it was answered, or was not."""
        self.status: int | None = None
        """Of the response, if it was a request and was answered."""
        self.truncated = False

    def log(self, level: str, message: str, now: float) -> None:
        """Something that it logged."""
        if self._fits(message):
            self._logs.append({"timestamp": now, "level": LEVELS.get(level, level), "message": [message]})

    def exception(self, name: str, message: str, stack: str, now: float) -> None:
        """An exception that its handler did not catch."""
        if self._fits(name + message + stack):
            self._exceptions.append(
                {"timestamp": now, "name": name, "message": message, "stack": stack or None}
            )

    def answered(self, status: int | None) -> None:
        """It gave an answer: with this status, if it was a request."""
        self.outcome, self.status = OK, status

    def failed(self, code: str) -> None:
        """It was answered in its place, with the error of this code."""
        self.outcome = OUTCOMES.get(code, "exception")

    @property
    def size(self) -> int:
        """Characters of its texts, those of the event included; what was left out is not."""
        return self._characters

    def _fits(self, text: str) -> bool:
        characters = self._characters + ENTRY + len(text)
        self.truncated = self.truncated or characters > MAX_CHARACTERS
        if not self.truncated:
            self._characters = characters
        return not self.truncated

    def finish(self, cpu_ms: float, now: float) -> dict[str, Any]:
        """All of it, when nothing of the invocation is left."""
        response = {} if self.status is None else {"response": {"status": self.status}}
        return {
            **self._about,
            "event": {**self._event, **response},
            "eventTimestamp": self._began,
            "outcome": self.outcome or CANCELED,
            "logs": self._logs,
            "exceptions": self._exceptions,
            "cpuTime": round(cpu_ms, 3),
            "wallTime": max(now - self._began, 0),
            "truncated": self.truncated,
        }
