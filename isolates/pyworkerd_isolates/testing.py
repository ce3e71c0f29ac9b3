"""Run workers without a server and without asyncio: for tests, scripts, and a first look at the sandbox.

    with Sandbox() as sandbox:
        isolate = sandbox.start({"worker.py": SOURCE})
        run = isolate.fetch("http://example.com/")
        assert (run.status, run.body) == (200, b"hello")

`Driver` is the smallest host there can be. It steps one isolate, keeps the books of the protocol (what it did not
agree to raises `ProtocolError`), answers calls from a function, and lets time jump to the next timer instead of
waiting for it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

from . import wire
from .bundle import Bundle
from .cache import Cache
from .engines import Engines
from .errors import ProtocolError
from .image import Image, build_image, needs_storage
from .isolate import Isolate
from .languages import PYTHON
from .lifecycle import Cause, State
from .limits import Limits
from .native import Machine
from .protocol import (
    CHUNK,
    WINDOW,
    Abandon,
    Abort,
    BodyRef,
    Broken,
    Call,
    Commit,
    Crash,
    Data,
    Done,
    Effect,
    Events,
    Fail,
    Fetch,
    HandedOn,
    HeaderPairs,
    Log,
    Output,
    Pull,
    Replied,
    Respond,
    Result,
    Return,
    SocketClose,
    SocketCredit,
    SocketSend,
    Stop,
    StreamRef,
    Upgrade,
)
from .testing_sockets import Socket

if TYPE_CHECKING:
    from .engine import Engine
    from .slots import Slots

Sources: TypeAlias = str | bytes | Mapping[str, str | bytes] | Bundle
Bindings: TypeAlias = Sequence[tuple[str, str, bytes | int]]
Answer: TypeAlias = Callable[[Call | Fetch], Any]
BodyInit: TypeAlias = bytes | Iterable[bytes] | None

LATER: Final = object()
"""From an answering function: the call stays open until `Driver.resolve` or `Driver.reject`."""
MAX_STEPS: Final = 20_000
STORED_PAGES: Final = 4096


class Reply(NamedTuple):
    """What a fetch is answered with. A body that is not bytes is streamed, chunk by chunk."""

    status: int = 200
    headers: HeaderPairs = ()
    body: BodyInit = None
    socket: bool = False
    """With a WebSocket: the newest of `Driver.sockets`."""


class RunFailed(Exception):
    """An invocation failed where an answer was expected. `run` has all of it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        failed = run.failure
        super().__init__(failed.traceback or f"{failed.reason}: {failed.message}" if failed else "no answer")


@dataclass(slots=True)
class Run:
    """One invocation, seen from outside."""

    number: int
    status: int | None = None
    headers: HeaderPairs = ()
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    """All of the body is here."""
    socket: Socket | None = None
    """The other end of the WebSocket that it answered with."""
    broken: str | None = None
    """Why the rest of the body will not come."""
    returned: bytes | None = None
    """What an RPC method returned, encoded."""
    failure: Fail | None = None
    done: bool = False
    logs: list[Log] = field(default_factory=list)

    def checked(self) -> Self:
        """Itself; `RunFailed` if the worker did not answer."""
        if self.failure is not None or (self.status is None and self.returned is None):
            raise RunFailed(self)
        return self

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.checked().body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.checked().body)

    @property
    def value(self) -> Any:
        """What an RPC method returned."""
        encoded = self.checked().returned
        return None if encoded is None else wire.load_value(encoded)


def arguments_of(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments of a call."""
    positional, named = wire.load_value(call.arguments)
    return positional, named


class Sandbox:
    """Machine, cache and engines together; `start` makes isolates of sources. Builds engines if need be (10 s)."""

    def __init__(self, cache: Cache | None = None, progress: Callable[[str], None] = lambda _: None) -> None:
        self.cache = cache or Cache()
        self.machine = Machine()
        self.engines = Engines(self.machine, self.cache, progress)
        self.engine = self.engines.of(PYTHON)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engines and stop the clock. Isolates have to be ended before."""
        self.engines.close()
        self.machine.close()

    def image(self, sources: Sources, main: str | None = None, **limits: int) -> Image:
        """The image of a worker, from one source text, from several by name, or from a bundle."""
        bundle = bundle_of(sources, main)
        image = build_image(self.engines.of(bundle.language), self.cache, bundle, Limits(**limits))
        if not needs_storage(image, bundle):
            return image
        image.close()
        engine = self.engines.of(bundle.language, has_storage=True)
        return build_image(engine, self.cache, bundle, Limits(**limits))

    def start(
        self,
        worker: Sources | Image,
        *,
        bindings: Bindings = (),
        meta: Mapping[str, object] | None = None,
        answer: Answer | None = None,
        slots: Slots | None = None,
        is_object: tuple[str, str] | None = None,
        pages: bytes = b"",
        alarm: int | None = None,
        **limits: int,
    ) -> Driver:
        """A live isolate of a worker. `answer` performs its calls; without one each is refused. `is_object` are class
        and id of the Durable Object that it is, `pages` and `alarm` what it has stored."""
        image = worker if isinstance(worker, Image) else self.image(worker, None, **limits)
        isolate = ClockedIsolate(image.engine, image, Limits(**limits), slots)
        driver = Driver(isolate, bindings, meta, answer)
        if is_object is not None:
            driver.events.become(*is_object, pages, alarm, STORED_PAGES)
        return driver


def bundle_of(sources: Sources, main: str | None = None) -> Bundle:
    """A bundle from whatever describes one; a single text is `worker.py`."""
    if isinstance(sources, Bundle):
        return sources
    files = {"worker.py": sources} if isinstance(sources, str | bytes) else sources
    return Bundle.of(files, main)


class ClockedIsolate(Isolate):
    """An isolate whose clock can be moved on."""

    __slots__ = ("ahead_ns",)

    def __init__(self, engine: Engine, image: Image, limits: Limits, slots: Slots | None = None) -> None:
        self.ahead_ns = 0
        super().__init__(engine, image, limits, slots)

    def now_ns(self) -> int:
        """Time as the guest sees it."""
        return super().now_ns() + self.ahead_ns


class Driver:
    """One isolate with its books. Every method that runs guest code may raise `Trap` or `ProtocolError`."""

    def __init__(
        self,
        isolate: ClockedIsolate,
        bindings: Bindings = (),
        meta: Mapping[str, object] | None = None,
        answer: Answer | None = None,
    ) -> None:
        self.isolate = isolate
        self.answer = answer
        self.events = Events()
        self.events.init(bindings, dict(meta or {}))
        self.logs: list[Log] = []
        self.calls: dict[int, Call | Fetch] = {}
        """Calls that wait for an answer."""
        self.seen: list[Call | Fetch] = []
        """All calls so far."""
        self.abandoned: list[int] = []
        self.wake: float | None = None
        self.commits: list[Commit] = []
        """What a Durable Object has stored, step by step."""
        self.aborted: str | None = None
        """Why a Durable Object gave itself up."""
        self.runs: dict[int, Run] = {}
        self.autopull = True
        """Acknowledge response bodies as they come; without it `pull` does."""
        self._open: dict[int, Run] = {}
        self._feeds: dict[int, Feed] = {}
        self._bodies: dict[int, tuple[Run | Upload, int]] = {}
        self.sockets: dict[int, Socket] = {}
        """WebSockets that are open, or were."""
        self._next = 1
        self._next_stream = 1
        self._next_socket = 2
        self.uploads: dict[int, Upload] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    # begin -----------------------------------------------------------------------------------------------------------

    def fetch(self, url: str = "http://test.invalid/", **request: Any) -> Run:
        """Send a request and run until nothing is left to do. Options as of `begin`."""
        run = self.begin(url, **request)
        self.settle()
        return run

    def begin(
        self,
        url: str = "http://test.invalid/",
        *,
        method: str = "GET",
        headers: HeaderPairs = (),
        body: BodyInit = None,
        entrypoint: str | None = None,
        props: object = None,
    ) -> Run:
        """Put a request into the next step, without running it."""
        run = self._new_run()
        self.events.fetch(run.number, entrypoint, props, method, url, headers, self.body(body))
        return run

    def call(self, name: str, /, *positional: Any, entrypoint: str | None = None, **named: Any) -> Run:
        """Call an RPC method and run until nothing is left to do."""
        run = self.begin_call(name, *positional, entrypoint=entrypoint, **named)
        self.settle()
        return run

    def begin_call(self, name: str, /, *positional: Any, entrypoint: str | None = None, **named: Any) -> Run:
        """Put a call of an RPC method into the next step, without running it."""
        run = self._new_run()
        self.events.rpc(run.number, entrypoint, None, name, wire.dump_value([list(positional), named]))
        return run

    def _new_run(self) -> Run:
        run = self.runs[self._next] = self._open[self._next] = Run(self._next)
        self._next += 1
        if self.isolate.state is not State.DEAD:
            self.isolate.move(Cause.INVOKE)
        return run

    def body(self, body: BodyInit) -> bytes | StreamRef | None:
        """A body as an event names it; one that is not bytes is fed to the guest as it gives credit."""
        if body is None or isinstance(body, bytes):
            return body
        number = self._next_stream
        self._next_stream += 1
        self._feeds[number] = Feed(number, iter(body))
        return StreamRef(number, None)

    # run -------------------------------------------------------------------------------------------------------------

    def settle(self, steps: int = MAX_STEPS) -> None:
        """Step until nothing is left to do but to wait for something from outside. Timers are not waited for."""
        while steps and self.can_go_on():
            self.step()
            steps -= 1

    def can_go_on(self) -> bool:
        """Whether another step would do anything."""
        for feed in list(self._feeds.values()):
            feed.fill(self.events)
        for socket in self.sockets.values():
            socket.fill(self.events)
        return len(self.events) > 0 or (self.wake is not None and bool(self._open))

    def step(self, budget_ms: float | None = None) -> Output:
        """One step, with what is due. The clock is moved to the next timer if nothing else is to be done."""
        if not len(self.events) and self.wake is not None:
            self.isolate.ahead_ns += max(int(self.wake * 1e9) + 1 - self.isolate.now_ns(), 0)
        events, self.events = self.events, Events()
        output = self.isolate.step(events, self.isolate.limits.cpu_ms if budget_ms is None else budget_ms)
        self.wake = None if output.wake is None else output.wake.time
        try:
            for effect in output.effects:
                _PERFORM[type(effect)](self, effect)
                if isinstance(effect, Replied | Result):
                    self._done(effect)
        except ProtocolError:
            self.end()
            raise
        return output

    def resolve(self, call: int, value: Any) -> None:
        """Answer a call that was left open, in the next step. An exception rejects it, a `Reply` is for a fetch."""
        self.calls.pop(call)
        if isinstance(value, Reply):
            if value.socket:
                self.events.resolve_upgrade(call, value.headers, self._new_socket(), "")
                return
            self.events.resolve_response(call, value.status, value.headers, self.body(value.body), "")
        elif isinstance(value, Exception):
            self.events.reject(call, "error", str(value), type(value).__name__)
        else:
            self.events.resolve_value(call, wire.dump_value(value))

    def _new_socket(self) -> int:
        number = self._next_socket
        self._next_socket += 2
        self.sockets[number] = Socket(number)
        return number

    def cancel(self, run: Run) -> None:
        """The caller of this invocation goes away."""
        self.events.cancel(run.number)
        self.settle()

    def pull(self, stream: int) -> None:
        """Acknowledge all that came of an outbound body."""
        sink, owed = self._bodies[stream]
        self._bodies[stream] = (sink, 0)
        if owed:
            self.events.pull(stream, owed)

    def stop(self, stream: int) -> None:
        """Nobody reads this outbound body any more."""
        del self._bodies[stream]
        self.events.stop(stream)

    @property
    def streams(self) -> tuple[int, ...]:
        """Outbound bodies that are open."""
        return tuple(self._bodies)

    def end(self) -> None:
        """End the isolate."""
        self.isolate.end()

    # effects ---------------------------------------------------------------------------------------------------------

    def _run_of(self, number: int) -> Run:
        run = self._open.get(number)
        if run is None:
            raise ProtocolError(f"the guest answers invocation {number}, which is not open")
        return run

    def _unanswered(self, number: int) -> Run:
        run = self._run_of(number)
        if run.failure is not None or run.status is not None or run.returned is not None:
            raise ProtocolError(f"the guest answers invocation {number} twice")
        return run

    def _log(self, effect: Log) -> None:
        self.logs.append(effect)
        run = self.runs.get(effect.invocation)
        if run is not None:
            run.logs.append(effect)

    def _respond(self, effect: Respond) -> None:
        run = self._unanswered(effect.invocation)
        run.status, run.headers = effect.status, effect.headers
        self._receive(run, effect.body)

    def _upgrade(self, effect: Upgrade) -> None:
        run, number = self._unanswered(effect.invocation), effect.socket
        run.status, run.headers, run.complete = 101, effect.headers, True
        if number % 2:
            if number in self.sockets:
                raise ProtocolError(f"the guest uses WebSocket {number} twice")
            self.sockets[number] = Socket(number)
        run.socket = self._socket(number)
        if run.socket.accepted:
            raise ProtocolError(f"the guest hands on WebSocket {number}, which it has accepted")

    def _socket(self, number: int) -> Socket:
        if number not in self.sockets:
            raise ProtocolError(f"the guest names WebSocket {number}, which there is not")
        return self.sockets[number]

    def _receive(self, sink: Run | Upload, body: BodyRef) -> None:
        if isinstance(body, StreamRef):
            if body.number in self._bodies:
                raise ProtocolError(f"the guest uses stream {body.number} twice")
            self._bodies[body.number] = (sink, 0)
            return
        if isinstance(body, HandedOn):
            feed = self._feeds.pop(body.number, None)
            if feed is None or feed.sent:
                raise ProtocolError(f"the guest hands on stream {body.number}, which is not whole")
            body = feed.rest()
        sink.body += body or b""
        sink.complete = True

    def _return(self, effect: Return) -> None:
        self._unanswered(effect.invocation).returned = effect.value

    def _fail(self, effect: Fail) -> None:
        run = self._run_of(effect.invocation)
        if run.failure is None:
            run.failure = effect

    def _done(self, effect: Done | Result | Replied) -> None:
        self._run_of(effect.invocation).done = True
        del self._open[effect.invocation]
        if not self._open and self.isolate.state is not State.DEAD:
            self.isolate.move(Cause.REST)

    def _data(self, effect: Data) -> None:
        if effect.stream not in self._bodies:
            return
        sink, owed = self._bodies[effect.stream]
        owed += len(effect.data)
        if owed > WINDOW:
            raise ProtocolError(f"the guest sent {owed} bytes of stream {effect.stream} ahead of its credit")
        sink.body += effect.data
        sink.complete = effect.end
        self._bodies[effect.stream] = (sink, owed)
        if effect.end:
            del self._bodies[effect.stream]
        elif self.autopull and owed >= WINDOW // 2:
            self.pull(effect.stream)

    def _broken(self, effect: Broken) -> None:
        if effect.stream in self._bodies:
            self._bodies.pop(effect.stream)[0].broken = effect.message

    def _pull(self, effect: Pull) -> None:
        feed = self._feeds.get(effect.stream)
        if feed is not None:
            feed.pull(effect.credit)

    def _stop(self, effect: Stop) -> None:
        self._feeds.pop(effect.stream, None)

    def _ask(self, effect: Call | Fetch) -> None:
        if effect.call in self.calls:
            raise ProtocolError(f"the guest uses call {effect.call} twice")
        self._run_of(effect.invocation)
        self.calls[effect.call] = effect
        self.seen.append(effect)
        if isinstance(effect, Fetch):
            upload = self.uploads[effect.call] = Upload()
            self._receive(upload, effect.body)
        answer = (
            PermissionError("no such capability") if self.answer is None else _answered(self.answer, effect)
        )
        if answer is not LATER:
            self.resolve(effect.call, answer)

    def _abandon(self, effect: Abandon) -> None:
        if self.calls.pop(effect.call, None) is not None:
            self.abandoned.append(effect.call)

    def _abort(self, effect: Abort) -> None:
        self.aborted = effect.message
        for run in self._open.values():
            run.failure = Fail(run.number, "exception", "DurableObjectAbort", effect.message, "")
            run.done = True

    def _crash(self, effect: Crash) -> None:
        raise ProtocolError(f"the guest's own machinery failed: {effect.message}")


@dataclass(slots=True)
class Upload:
    """The body of a request that the guest sends."""

    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    broken: str | None = None


class Feed:
    """A body on its way into the guest, never further ahead than a window."""

    def __init__(self, number: int, chunks: Iterator[bytes]) -> None:
        self.number = number
        self.credit = 0
        self.sent = 0
        self._chunks = chunks
        self._pending: deque[bytes] = deque()
        self._ended = False

    def fill(self, events: Events) -> None:
        """Put into the batch what there is credit for."""
        while not self._ended and self.credit > 0:
            if not self._pending:
                chunk = next(self._chunks, None)
                if chunk is None:
                    events.data(self.number, b"", True)
                    self._ended = True
                    return
                self._pending.append(chunk)
            chunk = self._pending.popleft()
            size = min(CHUNK, self.credit, len(chunk))
            if chunk[size:]:
                self._pending.appendleft(chunk[size:])
            self.credit -= size
            self.sent += size
            events.data(self.number, chunk[:size], False)

    def pull(self, credit: int) -> None:
        """The guest has read so much; never more than it was sent."""
        self.credit += credit
        if self.credit > WINDOW:
            raise ProtocolError("the guest acknowledged more of a body than it was sent")

    def rest(self) -> bytes:
        """All that has not been sent."""
        return b"".join((*self._pending, *self._chunks))


def _answered(answer: Answer, effect: Call | Fetch) -> Any:
    try:
        return answer(effect)
    except Exception as error:  # noqa: BLE001 - whatever the answering function raises is the guest's to handle
        return error


_PERFORM: Final[dict[type[Effect], Callable[[Driver, Any], None]]] = {
    Abandon: Driver._abandon,  # noqa: SLF001 - the class's own table
    Abort: Driver._abort,  # noqa: SLF001
    Broken: Driver._broken,  # noqa: SLF001
    Call: Driver._ask,  # noqa: SLF001
    Commit: lambda driver, effect: driver.commits.append(effect),
    Crash: Driver._crash,  # noqa: SLF001
    Data: Driver._data,  # noqa: SLF001
    Done: Driver._done,  # noqa: SLF001
    Fail: Driver._fail,  # noqa: SLF001
    Fetch: Driver._ask,  # noqa: SLF001
    Log: Driver._log,  # noqa: SLF001
    Pull: Driver._pull,  # noqa: SLF001
    Replied: Driver._respond,  # noqa: SLF001
    Respond: Driver._respond,  # noqa: SLF001
    Result: Driver._return,  # noqa: SLF001
    Return: Driver._return,  # noqa: SLF001
    SocketClose: lambda driver, effect: driver._socket(effect.socket).closes(effect),  # noqa: SLF001
    SocketCredit: lambda driver, effect: driver._socket(effect.socket).pulls(effect.credit),  # noqa: SLF001
    SocketSend: lambda driver, effect: driver._socket(effect.socket).sends(effect),  # noqa: SLF001
    Stop: Driver._stop,  # noqa: SLF001
    Upgrade: Driver._upgrade,  # noqa: SLF001
}
