"""`pyworkerd tail`: follow what the workers of a running server say and do."""

from __future__ import annotations

import http.client
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.observe.feed import MOST
from pyworkerd.observe.selection import LEVELS, STATUSES
from pyworkerd.observe.text import printable
from pyworkerd.problems import FAILED, Refusal

from .configuration import add_named
from .remote import add_address, remote_of
from .tail_lines import MAX_LINE, NotAStream, Pretty, as_json, events
from .terminal import has_colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from .remote import Remote
    from .tail_lines import Event

FORMATS: Final = ("pretty", "json")
SILENCE_S: Final = 45.0
"""Three signs of life that did not come: the server has gone, whatever the connection says."""
PAUSES_S: Final = (0.5, 1, 2, 4, 8, 15)
"""Before the server is asked again; the last one over and over."""
OVERLAP_S: Final = 1.0
"""How far back a stream begins after one that broke off: processes are asked in turns, so the newest entry that came is
not the last one that was."""
REMEMBERED: Final = 4096
"""Entries of which it is known that they were shown."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd tail shop --to unix:/run/pyworkerd.sock;  pyworkerd tail --status error"
    )
    parser.set_defaults(config=None)
    add = parser.add_argument
    add("service", nargs="?", default="", metavar="SERVICE", help="only of this worker (default: of all)")
    add_address(parser)
    add_named(parser)
    add("--status", choices=STATUSES, default="", help="only what ended so; of log entries errors are errors")
    add("--level", choices=LEVELS, default="", help="only what is as grave, or graver")
    add("--search", default="", metavar="TEXT", help="only what has this in it")
    add("--last", type=int, default=0, metavar="N", help="begin with so many of what was (default: none)")
    add("--format", choices=FORMATS, default=FORMATS[0], help="for people, or JSON (default: %(default)s)")
    add("--json", action="store_const", dest="format", const="json", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Follow until it is interrupted. Raises `Refusal`, `ConfigError`."""
    remote = remote_of(options)
    line = Pretty(sys.stdout, colour=has_colours(sys.stdout)) if options.format == "pretty" else as_json
    query = {
        "worker": options.service, "status": options.status, "level": options.level, "text": options.search,
        "limit": options.last,
    }  # fmt: skip
    for event in Tail(remote, {name: value for name, value in query.items() if value != ""}):
        sys.stdout.write(line(event))
        sys.stdout.flush()
    return 0


class Tail:
    """Events of a server for as long as they are wanted, also of one that goes away and comes again."""

    def __init__(self, remote: Remote, query: dict[str, Any]) -> None:
        self._remote, self._query = remote, query
        self._newest = 0.0
        self._shown: deque[tuple[object, object]] = deque(maxlen=REMEMBERED)

    def __iter__(self) -> Iterator[Event]:
        """Raises `Refusal` where asking again does not help: if the token is wrong, or nobody was there at first."""
        reached, failed = False, 0
        while True:
            why = "the stream has ended"
            try:
                with self._remote.stream("/logs/stream", self._query_now(), SILENCE_S) as response:
                    reached, failed = True, 0
                    for event in events(iter(lambda: response.readline(MAX_LINE), b"")):
                        if self._is_new(event):
                            yield event
            except (OSError, http.client.HTTPException) as error:
                if not reached:
                    raise self._remote.silent(error) from None
                why = str(error) or type(error).__name__
            except NotAStream as error:
                raise Refusal.of(f"{self._remote.address}: {error}", FAILED) from None
            except Refusal as refusal:
                if not reached or refusal.status != FAILED:
                    raise
                why = str(refusal)
            if failed == 1:  # a stream that ends in good order is begun again without a word
                sys.stderr.write(f"{printable(why)}: trying again\n")
            time.sleep(PAUSES_S[min(failed, len(PAUSES_S) - 1)])
            failed += 1

    def _query_now(self) -> dict[str, Any]:
        if not self._newest:
            return self._query
        return {**self._query, "since": max(self._newest - OVERLAP_S, 0.0), "limit": MOST}

    def _is_new(self, event: Event) -> bool:
        kind, data = event
        if kind != "entry":
            return True
        key, at = (data.get("id"), data.get("time")), data.get("time")
        if key in self._shown:
            return False
        self._shown.append(key)
        if isinstance(at, float):
            self._newest = max(self._newest, at)
        return True
