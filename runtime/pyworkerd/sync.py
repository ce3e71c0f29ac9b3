"""The library without `await`: for scripts, notebooks and tests.

    with pyworkerd.sync.Runtime() as runtime:
        worker = runtime.load({"worker.py": SOURCE})
        print(worker.fetch("/").text(), worker.call("add", 1, 2))

The runtime runs on an event loop of its own, on a thread of its own: it works wherever it is called from, also where
a loop runs already (Jupyter), and from several threads at once. Async bindings run on that loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pyworkerd.messages import Body
from pyworkerd.runtime import Runtime as AsyncRuntime
from pyworkerd.runtime import RuntimeOptions
from pyworkerd.stubs import AnyStub

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_config.model import Config, Limits

    from pyworkerd.dispatch.fleet import FleetStatistics
    from pyworkerd.dispatch.worker import Worker as Service
    from pyworkerd.loaded import Entrypoint as AsyncEntrypoint
    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.messages import Headers, Request
    from pyworkerd.messages import Response as AsyncResponse
    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.services.stubs import Loan
    from pyworkerd.websocket import WebSocket as AsyncWebSocket

T = TypeVar("T")


class _Loop:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="pyworkerd-sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it here. An interrupt (Ctrl-C) cancels it."""
        if threading.current_thread() is self._thread or self._loop.is_closed():
            work.close()
            raise RuntimeError(
                "the runtime is closed"
                if self._loop.is_closed()
                else "this thread runs the runtime itself: an async binding has to use the async library"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, function: Callable[[], object]) -> None:
        """Call it there, unless the loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End loop and thread."""
        if self._loop.is_closed():
            return
        self.do(self._loop.shutdown_asyncgens())
        self.do(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - only where it is installed
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Runtime:
    """`pyworkerd.Runtime` without `await`. Opened when it is made; close it, or use it in a `with` block."""

    def __init__(self, config: Config | None = None, options: RuntimeOptions | None = None) -> None:
        self._loop = _Loop()
        try:
            self._runtime = self._loop.do(_open(config, options))
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def load(
        self,
        worker: Path | str | Mapping[str, str | bytes],
        *,
        name: str | None = None,
        bindings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        reuse: Literal["isolate", "request"] = "isolate",
        network: bool | str = False,
        frozen: bool = True,
    ) -> LoadedSyncWorker:
        """Load a worker: see `pyworkerd.Runtime.load`."""
        work = self._runtime.load(
            worker, name=name, bindings=bindings, limits=limits, reuse=reuse, network=network, frozen=frozen
        )
        return LoadedSyncWorker(self._loop, self._loop.do(work))

    def worker(self, name: str) -> LoadedSyncWorker:
        """A worker of the configuration: see `pyworkerd.Runtime.worker`."""
        return LoadedSyncWorker(self._loop, self._runtime.worker(name))

    def fetch(self, request: Request, service: str | None = None) -> Response:
        """Send a request by the configured routes, or to one service."""
        return Response(self._loop, self._loop.do(self._runtime.fetch(request, service)))

    def metrics(self) -> Snapshot:
        """What was counted so far: see `pyworkerd.Runtime.metrics`."""
        return self._loop.do(_later(self._runtime.metrics))

    def statistics(self) -> FleetStatistics:
        """Isolates and memory, of all workers together."""
        return self._loop.do(_later(self._runtime.statistics))

    def close(self) -> None:
        """End every worker, the loop and its thread. Harmless when called again."""
        try:
            if not self._loop._loop.is_closed():  # noqa: SLF001 - the same module
                self._loop.do(self._runtime.aclose())
        finally:
            self._loop.close()


async def _open(config: Config | None, options: RuntimeOptions | None) -> AsyncRuntime:
    return await AsyncRuntime(config, options).__aenter__()


async def _later(function: Callable[[], T]) -> T:
    return function()


class LoadedSyncWorker:
    """`pyworkerd.LoadedWorker` without `await`. May be given to another worker as a binding."""

    def __init__(self, loop: _Loop, worker: LoadedWorker) -> None:
        self._loop, self._worker = loop, worker

    def __repr__(self) -> str:
        return repr(self._worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def service(self) -> Service:
        """The worker as a service, for bindings."""
        return self._worker.service

    @property
    def name(self) -> str:
        """The name of its service."""
        return self._worker.name

    @property
    def deploy_ms(self) -> float:
        """How long its deploy took."""
        return self._worker.deploy_ms

    @property
    def logs(self) -> list[Any]:
        """What it logged lately, oldest first: `pyworkerd.LogEntry`."""

        async def read() -> list[Any]:
            return self._worker.logs

        return self._loop.do(read())

    def fetch(
        self,
        resource: str | Request,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str | Iterable[bytes] | None = None,
        entrypoint: str | None = None,
        props: Any = None,
    ) -> Response:
        """Send it a request: see `pyworkerd.LoadedWorker.fetch`. A body that is iterated is iterated on a thread."""
        sent = body if body is None or isinstance(body, bytes | str) else _Chunks(body)
        work = self._worker.fetch(
            resource, method=method, headers=headers, body=sent, entrypoint=entrypoint, props=props
        )
        return Response(self._loop, self._loop.do(work))

    def web_socket(
        self,
        resource: str,
        *,
        protocols: Sequence[str] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        entrypoint: str | None = None,
        props: Any = None,
    ) -> WebSocket:
        """Ask it for a WebSocket: see `pyworkerd.LoadedWorker.web_socket`."""
        work = self._worker.web_socket(
            resource, protocols=protocols, headers=headers, entrypoint=entrypoint, props=props
        )
        return WebSocket(self._loop, self._loop.do(work))

    def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call one of its RPC methods."""
        return self.entrypoint(None).call(method, *arguments, **named)

    def entrypoint(self, name: str | None, props: Any = None) -> Entrypoint:
        """One of its named entrypoints."""
        return Entrypoint(self._loop, self._worker.entrypoint(name, props))

    def close(self) -> None:
        """End its isolates and forget it."""
        self._loop.do(self._worker.aclose())


class Entrypoint:
    """The methods of one exported class."""

    def __init__(self, loop: _Loop, entrypoint: AsyncEntrypoint) -> None:
        self._loop, self._entrypoint = loop, entrypoint

    def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a method."""
        make, stream = partial(Stub, self._loop), partial(Stream, self._loop)
        return self._loop.do(self._entrypoint.call_with(make, method, arguments, named, stream))


class Stub(AnyStub):
    """`pyworkerd.Stub` without `await`."""

    def __init__(self, loop: _Loop, loan: Loan) -> None:
        super().__init__(loan)
        self._loop = loop

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function."""
        return self._loop.do(self.ask("", arguments, named))

    def call(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Call a method of the object."""
        return self._loop.do(self.ask(method, arguments, named))

    def get(self, name: str) -> Any:
        """A property of the object."""
        return self._loop.do(self.ask(name, reads=True))

    def close(self) -> None:
        """Let go of it. Harmless when called again, and when the runtime is closed."""
        self._loop.soon(super().close)

    def _alike(self, loan: Loan) -> Stub:
        return Stub(self._loop, loan)

    def _stream(self, body: Body) -> Stream:
        return Stream(self._loop, body)


class Stream:
    """A stream in what a worker returned. Iterate it for chunks as they come; close it if they are not all read."""

    def __init__(self, loop: _Loop, body: Body) -> None:
        self._loop = loop
        self.body = body
        """The stream itself, to be handed on to another worker."""
        self._chunks: AsyncIterator[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, limit: int | None = None) -> bytes:
        """All of it; `BodyTooLarge` past `limit` bytes."""
        return self._loop.do(self.body.read(limit))

    def __iter__(self) -> Iterator[bytes]:
        if self._chunks is None:
            self._chunks = aiter(self.body)
        while (chunk := self._loop.do(_next(self._chunks))) is not None:
            yield chunk

    def close(self) -> None:
        """Say that no more will be read."""
        self._loop.do(_close(self._chunks, self.body))


def body(chunks: Iterable[bytes]) -> Body:
    """A stream for a worker, to be given as an argument. It is iterated on a thread, as fast as the worker reads."""
    return Body(chunks=_Chunks(chunks))


class Response:
    """`pyworkerd.Response` without `await`. Iterate it for chunks as they come; close it if they are not all read."""

    def __init__(self, loop: _Loop, response: AsyncResponse) -> None:
        self._loop, self._response = loop, response
        self._chunks: AsyncIterator[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def status(self) -> int:
        """The status code."""
        return self._response.status

    @property
    def headers(self) -> Headers:
        """Pairs; names are lower case and may repeat."""
        return self._response.headers

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return self._response.header(name)

    def read(self, limit: int | None = None) -> bytes:
        """All of the body; `BodyTooLarge` past `limit` bytes."""
        return self._loop.do(self._response.read(limit))

    def text(self) -> str:
        """The body as text."""
        return self._loop.do(self._response.text())

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return self._loop.do(self._response.json())

    def __iter__(self) -> Iterator[bytes]:
        if self._chunks is None:
            self._chunks = aiter(self._response.body)
        while (chunk := self._loop.do(_next(self._chunks))) is not None:
            yield chunk

    def close(self) -> None:
        """Say that no more will be read."""
        self._loop.do(_close(self._chunks, self._response.body))


class WebSocket:
    """`pyworkerd.WebSocket` without `await`. Iterate it for messages until it is closed; close it when done."""

    def __init__(self, loop: _Loop, socket: AsyncWebSocket) -> None:
        self._loop, self._socket = loop, socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.close(1000 if kind is None else 1011)

    @property
    def protocol(self) -> str:
        """The sub-protocol that both ends agreed on; empty for none."""
        return self._socket.protocol

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises `WebSocketClosed`."""
        self._loop.do(self._socket.send(message))

    def receive(self) -> str | bytes:
        """The next message. Raises `WebSocketClosed`."""
        return self._loop.do(self._socket.receive())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the other end to agree. Harmless when called again."""
        self._loop.do(self._socket.close(code, reason))

    def __iter__(self) -> Iterator[str | bytes]:
        while (message := self._loop.do(_next_message(self._socket))) is not None:
            yield message


async def _next_message(socket: AsyncWebSocket) -> str | bytes | None:
    return await anext(socket, None)


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _close(*sources: Any) -> None:
    for source in sources:
        if source is not None:
            await source.aclose()


class _Chunks(AsyncIterator[bytes]):
    """An ordinary iterable, asked for each chunk on a thread: it may block there.

    Whoever reads it may go meanwhile. A generator that runs cannot be closed: the thread that runs it does that then.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._lock = threading.Lock()
        self._runs = False
        self._closed = threading.Event()

    async def __anext__(self) -> bytes:
        chunk = await asyncio.to_thread(self._next)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> bytes | None:
        with self._lock:
            if self._closed.is_set():
                return None
            self._runs = True
        try:
            return next(self._chunks, None)
        finally:
            with self._lock:
                self._runs = False
                closed = self._closed.is_set()
            if closed:
                self._close()

    async def aclose(self) -> None:
        """Close a generator, so that its `finally` runs. Waits for none that runs."""
        with self._lock:
            closes = not (self._runs or self._closed.is_set())
            self._closed.set()
        if closes:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
