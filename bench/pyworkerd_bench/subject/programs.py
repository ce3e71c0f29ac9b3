"""What is measured: the shortest handler that the Workers model has, and an endless loop, in each language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Mapping


class Program(NamedTuple):
    """The handlers in one language."""

    main: str
    """The name of the file, which tells the language."""
    engine: str
    """What runs it, for the report."""
    hello: str
    """Answers each request with five bytes."""
    loop: str
    """Never answers."""
    comment: str
    """How a line begins that nothing reads."""

    def version(self, number: int) -> str:
        """A hello that is different from all with another number, and does the same."""
        return f"{self.hello}\n{self.comment} version {number}\n"

    def bundle(self, source: str) -> Bundle:
        """A worker of this source."""
        return Bundle.of({self.main: source})


PYTHON: Final = Program(
    main="worker.py",
    engine="CPython",
    hello="""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
""",
    loop="""\
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        while True:
            pass
""",
    comment="#",
)
JAVASCRIPT: Final = Program(
    main="worker.js",
    engine="QuickJS",
    hello="""\
export default {
  fetch() {
    return new Response("hello");
  },
};
""",
    loop="""\
export default {
  fetch() {
    for (;;);
  },
};
""",
    comment="//",
)
TYPESCRIPT: Final = Program(
    main="worker.ts",
    engine="QuickJS",
    hello="""\
interface Env {}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    return new Response("hello");
  },
};
""",
    loop="""\
export default {
  async fetch(request: Request): Promise<Response> {
    for (;;);
  },
};
""",
    comment="//",
)
PROGRAMS: Final[Mapping[str, Program]] = {
    "python": PYTHON,
    "javascript": JAVASCRIPT,
    "typescript": TYPESCRIPT,
}
"""By the names that commands know them by."""
