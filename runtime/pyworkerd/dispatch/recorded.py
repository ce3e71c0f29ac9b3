"""A worker of whose invocations some are recorded: each of these in a fresh isolate of its own.

An isolate that others used before remembers what it liked of them, so its recording would have to hold their events
too. In one of its own nothing of another request, user or tenant is there to be written down. It is the worker's usual
cold start, and comes on top of what the worker may have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyworkerd_isolates.replay.isolates import RecordedIsolate, Tape

from pyworkerd.replay.recorder import AT_ONCE, values_of

from .worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.kinds import AnyIsolate, Deployed

    from .invocation import Invocation
    from .live import Live


class RecordedWorker(Worker):
    """See `Worker`. Its options have a recorder."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.policy = replace(self.policy, isolates=self.policy.isolates + AT_ONCE)
        self._tapes: dict[int, tuple[Tape, Invocation]] = {}
        """By the isolate's number."""
        self._recordable = False

    async def deploy(self, image: Image | None = None) -> Deployed:
        """See `Worker.deploy`. What has no image is not recorded."""
        deployed = await super().deploy(image)
        assert self._image is not None
        self._recordable = self._image.sources is None
        return deployed

    def arrive(self, invocation: Invocation) -> None:
        """See `Worker.arrive`. Where somebody waits already, nothing is recorded."""
        recorder = self.options.recorder
        busy = self.refused or len(self._waiting) > 0 or self._waiting.must_wait(invocation)
        if (
            recorder is None
            or not self._recordable
            or busy
            or len(self._tapes) >= AT_ONCE
            or not self.fleet.fits(self.cost)
            or (tape := recorder.begin()) is None
        ):
            super().arrive(invocation)
            return
        self._start(invocation, invocation.since)
        live = self._members[invocation.isolate or 0]
        self._tapes[live.id] = tape, invocation
        live.retire()  # nobody else gets in, and it ends with this invocation

    def start_isolate(self, live: Live) -> AnyIsolate:
        """See `Worker.start_isolate`."""
        if (found := self._tapes.get(live.id)) is None:
            return super().start_isolate(live)
        assert self._image is not None
        return RecordedIsolate(self._image, self.limits, found[0])

    def ended(self, live: Live, again: Sequence[Invocation]) -> None:
        """See `Worker.ended`."""
        super().ended(live, again)
        if not live.stepping:
            self._recorded(live)

    def stopped(self, live: Live) -> None:
        """See `Worker.stopped`."""
        super().stopped(live)
        self._recorded(live)

    def _recorded(self, live: Live) -> None:
        found = self._tapes.pop(live.id, None)
        recorder = self.options.recorder
        if found is not None and recorder is not None and self._image is not None:
            tape, invocation = found
            recorder.end(tape, self, self._image, invocation, values_of(self, self.options.hidden))
