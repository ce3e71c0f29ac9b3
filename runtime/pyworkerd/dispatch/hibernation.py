"""Durable Objects that hibernate: their isolates' memory is put away in a file, and had back before the next step.

Everything else of them stays as it is, tables, timers and open WebSockets, so nothing has to know of it: `live` asks
here for room before a step of one that hibernates, and its step begins with waking it.

Rule 1: one is written on a thread of its own, and no step of it begins meanwhile. If somebody asks for it meanwhile, it
        goes on, and what was written is dropped, unless others have its room by then.
Rule 2: room for the newest is made by forgetting those that hibernate longest and have nothing under way. They begin
        again with what they have stored. One that has something under way, an open WebSocket for example, is never
        forgotten: where there is no room for it, it stays in memory.
Rule 3: one that cannot be put away stays in memory if it has something under way, and is evicted otherwise.
Rule 4: one that wakes counts from then on. Where there is no room in memory, idle isolates of others give way, then
        objects that have something under way but nothing to do just now; if there are none it waits.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import HeapsFull
from pyworkerd_isolates.heaps import Heaps
from pyworkerd_isolates.lifecycle import State

from .threads import give_way

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from pyworkerd_isolates.heaps import Heap

    from .fleet import Fleet
    from .live import Live

logger = logging.getLogger("pyworkerd.dispatch")

MOST_WRITING: Final = 64
"""Of one process, at once. Some 30 MB, which take 30 ms unless the disk is slow."""
COST: Final = 64 * 1024
"""Bytes that the host's own part of one that hibernates is reckoned at: measured 12 to 38 KB, with a margin."""
FED: Final = 8
"""Of those that wait for room to wake, how many look again when something has ended."""
LOOKS: Final = 32
"""Objects that are asked each time whether they can do without their memory."""
SOON_S: Final = 1.0
"""Whoever goes on before that is not put away for others."""
SAY_S: Final = 10.0
"""Between two lines of the log that say that one could not be put away. So long nobody is put away in vain."""


class Hibernation:
    """Of one fleet. `limit` is in bytes, of the file; nothing hibernates where that is 0."""

    def __init__(self, fleet: Fleet, limit: int) -> None:
        self.limit = limit
        self._fleet = fleet
        self._heaps: Heaps | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._writing = 0
        self._forgettable: OrderedDict[int, Live] = OrderedDict()
        """Those that hibernate with nothing under way, the longest first."""
        self._quiet: OrderedDict[int, Live] = OrderedDict()
        """Those in memory that may hibernate, the one whose last step is longest ago first."""
        self.waking: dict[Live, asyncio.TimerHandle] = {}
        """They want a step, and there is no room for them."""
        self._failed = self._said = float("-inf")
        """Loop times at which the last one could not be put away, and at which that was told."""

    def __len__(self) -> int:
        """Bytes that are put away."""
        return len(self._heaps) if self._heaps is not None else 0

    # putting away ----------------------------------------------------------------------------------------------------

    def put_away(self, live: Live, folder: Path | None) -> bool:
        """Have an isolate hibernate, if it has nothing to do now and there is room; its heap goes to this folder.
        Returns whether that has begun. It counts no more from now on.
        """
        if not self.limit or self._writing >= MOST_WRITING or not live.still_until():
            return False
        if self._heaps is None:
            self._heaps = Heaps(self.limit, folder)
            self._thread = ThreadPoolExecutor(1, "pyworkerd-heap", give_way)
        live.stepping = True
        self._quiet.pop(live.id, None)
        self._fleet.sleeps(live)
        self._write(live, self._heaps)
        return True

    def paused(self, live: Live) -> None:
        """A step is over, of one that may hibernate. It may do so already: what it asked for had others want room."""
        if not live.stepping:
            self._quiet[live.id] = live
            self._quiet.move_to_end(live.id)
        if self.waking:
            self.feed()

    def spare(self) -> bool:
        """Have one hibernate that has something under way and nothing to do just now, for others who need the room.
        Returns whether there was one.
        """
        for live in list(islice(self._quiet.values(), LOOKS)):
            now = live.loop.time()
            if now - self._failed < SAY_S:
                break
            if live.still_until() > now + SOON_S and live.give_way(end=False):
                return True
        return False

    def _write(self, live: Live, heaps: Heaps) -> None:
        assert self._thread is not None
        self._writing += 1
        writing = live.loop.run_in_executor(self._thread, live.put_away, heaps)
        writing.add_done_callback(partial(self._written, live, heaps))

    def _written(self, live: Live, heaps: Heaps, writing: asyncio.Future[Heap]) -> None:
        self._writing -= 1
        error = writing.exception()
        dead = live.state is State.DEAD
        if isinstance(error, HeapsFull) and not dead and self._make_room(heaps, error.size):
            self._write(live, heaps)
            return
        goes_on = live.wanted and not dead and self._fleet.has_room(live.cost)
        memory = live.lies_down(heaps, error or writing.result(), goes_on)
        if memory is not None:
            assert self._thread is not None
            self._thread.submit(memory.close)
            if not live.invocations:
                self._forgettable[live.id] = live
        elif not dead:
            self._fleet.wakes(live)
            if error is not None:
                self._stays(live, error)

    def _stays(self, live: Live, error: BaseException) -> None:
        self._failed = now = live.loop.time()
        if now - self._said >= SAY_S:
            self._said = now
            logger.warning("%r cannot hibernate: %s", live, error)
        if not live.invocations:
            live.evict()

    def _make_room(self, heaps: Heaps, size: int) -> bool:
        """Forget as many as it takes. Returns whether that is enough."""
        if not heaps.can_hold(size):
            return False  # and nobody is forgotten in vain
        while not heaps.has_room(size):
            # Whoever has been asked for meanwhile waits for room to wake.
            longest = next((live for live in self._forgettable.values() if not live.invocations), None)
            if longest is None:
                return False
            longest.evict()
        return True

    def rests(self, live: Live) -> None:
        """One that hibernates has nothing under way any more: whoever waited for it to wake has gone."""
        self._forgettable[live.id] = live
        self._waits_no_more(live)

    # waking ----------------------------------------------------------------------------------------------------------

    def admits(self, live: Live) -> bool:
        """Whether there is room for one to wake. It counts from then on; if not, it is told to look again."""
        waiting = self.waking.pop(live, None)
        if self._fleet.has_room(live.cost):
            if waiting is not None:
                waiting.cancel()
            self._forgettable.pop(live.id, None)
            self._fleet.wakes(live)
            return True
        self.waking[live] = waiting or live.loop.call_later(live.patience_s, self._too_late, live)
        return False

    def feed(self) -> None:
        """There may be room."""
        if not self.waking:
            return
        for live in list(islice(self.waking, FED)):
            live.look_again()

    def _too_late(self, live: Live) -> None:
        """It still waits: who came last and has not begun need not wait with it."""
        del self.waking[live]
        for invocation in tuple(live.invocations.values()):
            if not invocation.begun:
                live.answers.turn_away(invocation, "there is no room for the object to wake")
        live.look_again()

    # the end ---------------------------------------------------------------------------------------------------------

    def died(self, live: Live) -> None:
        """An isolate has ended."""
        self._forgettable.pop(live.id, None)
        self._quiet.pop(live.id, None)
        self._waits_no_more(live)

    def _waits_no_more(self, live: Live) -> None:
        if (waiting := self.waking.pop(live, None)) is not None:
            waiting.cancel()

    def close(self) -> None:
        """Forget all; may block. All isolates have ended before."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._heaps is not None:
            self._heaps.close()
