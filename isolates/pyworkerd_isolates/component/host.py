"""The host of one program: answers its questions, and turns events into answers and answers into effects. No I/O.

What the other languages have inside of their isolates, an SDK and its loop, is here for programs, which bring only
WASI. It is as strict: whatever the program says is looked up and checked, what it makes the host hold is counted, and
its effects are decoded by the same table as everybody's (`protocol.checked`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import OutputTooLarge, Trap
from pyworkerd_isolates.protocol import WINDOW, Log, Output, Wake, checked
from pyworkerd_isolates.wasm.questions import CONTINUE

from .account import Account
from .bodies import Inflow, Outflow
from .fields import told
from .handles import Handles, Pollable
from .logs import Lines
from .messages import IncomingRequest, ResponseOutparam
from .outgoing import ERROR_CODES

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pyworkerd_isolates.protocol import Effect, HeaderPairs

    from .abi import Answering, Memory
    from .messages import OutgoingResponse


class Caller(Protocol):
    """Who waits for the answer of a call."""

    def answered(self, status: int, headers: HeaderPairs, body: Inflow) -> None:
        """A fetch was answered."""

    def failed(self, code: str, message: str) -> None:
        """It was not."""


class Exit(Exception):
    """The program asked to end. `failed` says how."""

    def __init__(self, failed: bool) -> None:
        self.failed = failed


_MASK: Final = (1 << 32) - 1


class Host:
    """Everything that one invocation of a program has outside of its memory."""

    def __init__(
        self, memory: Memory, answers: Sequence[tuple[Answering, int]], most_effects: int = 10_000
    ) -> None:
        self.memory = memory
        self._answers = answers
        self._most_effects = most_effects
        self.handles = Handles()
        self.account = Account()
        self.now_ns = 0
        """Time as the program sees it; it stands still in a step."""
        self.environment: dict[str, str] = {}
        self.stores: dict[str, int] = {}
        """Capabilities of key-value stores, by the names of their bindings."""
        self.outbound = True
        self.invocation = 0
        self.cancelled = False
        """Its caller has gone."""
        self.refused = False
        """It was asked for something that no program can do."""
        self.calls: dict[int, Caller] = {}
        """Those that wait for an answer."""
        self.stdin: Inflow | None = None
        self.log = Lines(self.say, 0, 0)
        self._log_bytes = 0
        self._effects: list[Effect] = []
        self._inflows: dict[int, Inflow] = {}
        self._outflows: dict[int, Outflow] = {}
        self._numbers = 0
        """The last number of a call or a stream that was given out."""
        self._fetches: list[tuple[list[Any], Outflow | None]] = []
        """Requests that leave with the end of the step: what is written until then goes with them."""
        self._response: OutgoingResponse | None = None
        self._body: Outflow | None = None
        """The response's, once that has left."""
        self._going: Generator[Any, int, int | None] | None = None
        """What answers the question that the program waits for."""
        self._waits: Sequence[Pollable] | None = None
        """For one of these, if it waits for something other than memory."""

    # questions -------------------------------------------------------------------------------------------------------

    def ask(self, question: Sequence[int]) -> int | None:
        """The answer to a question: a number, or None if it has to wait. Raises `Trap`, `ProtocolError` or `Exit`."""
        number = question[0]
        going = self._going
        if number == CONTINUE:
            if going is None or self._waits is not None:
                raise Trap("the program goes on with something that it was not asked to do")
            return self._go_on(going, question[1] & _MASK)
        if going is not None:
            raise Trap("the program asks something while it is asked for memory")
        if not 0 <= number < len(self._answers):
            raise Trap("the program asks something that there is not")
        answer, count = self._answers[number]
        result = answer(self, *question[1 : 1 + count])
        if result is None:
            return 0
        return int(result) if isinstance(result, int) else self._go_on(result, None)

    def look_again(self) -> int | None:
        """The answer to the question that waits, if it has one now."""
        if self._going is None or self._waits is None or not self._ready(self._waits):
            return None
        self._waits = None
        return self._go_on(self._going, None)

    def _go_on(self, going: Generator[Any, Any, int | None], value: int | None) -> int | None:
        while True:
            try:
                wanted = going.send(value)
            except StopIteration as end:
                self._going = None
                return int(end.value or 0)
            self._going = going
            if isinstance(wanted, int):
                return wanted
            for pollable in wanted:
                pollable.want()
            if not self._ready(wanted):
                self._waits = wanted
                return None
            value = None

    def _ready(self, pollables: Sequence[Pollable]) -> bool:
        return any(each.ready(self.now_ns) for each in pollables)

    def _wake(self) -> Wake | None:
        due = [each.due_ns for each in self._waits or () if each.due_ns is not None]
        return Wake(min(due) / 1e9, (self.invocation,)) if due else None

    # what programs do ------------------------------------------------------------------------------------------------

    def say(self, effect: list[Any], blobs: Sequence[bytes] = ()) -> None:
        """Give out an effect, as if the program had encoded it. Raises `ProtocolError`."""
        if len(self._effects) + len(self._fetches) >= self._most_effects:
            raise OutputTooLarge(f"the step gave out more than {self._most_effects} effects")
        self._effects.append(checked(effect, blobs))

    def respond(self, response: OutgoingResponse) -> None:
        """The program has its answer."""
        self._response = response

    def fail(self, case: int) -> None:
        """The program has an error for an answer."""
        name = ERROR_CODES[case] if case < len(ERROR_CODES) else "internal-error"
        self.say(["fail", self.invocation, "exception", "HttpError", f"the component answered {name}", ""])

    def exit(self, failed: int) -> None:
        """The program ends."""
        raise Exit(bool(failed))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def fetch(
        self,
        capability: int,
        method: str,
        url: str,
        headers: list[list[str]],
        body: Outflow | None,
        connect_ms: int | None = None,
    ) -> int:
        """Send a request, with the end of the step. Returns the number of the call. Raises `ProtocolError`."""
        call = self._number()
        effect = [
            "fetch",
            call,
            self.invocation,
            capability,
            method,
            url,
            headers,
            None,
            "manual",
            connect_ms,
        ]
        checked(effect, ())
        if len(self._effects) + len(self._fetches) >= self._most_effects:
            raise OutputTooLarge(f"the step gave out more than {self._most_effects} effects")
        self._fetches.append((effect, body))
        return call

    def call(self, capability: int, method: str, arguments: list[object]) -> int:
        """Call a method of a capability. Returns the number of the call."""
        call = self._number()
        self.say(["call", call, self.invocation, capability, method, 0], [wire.dump_value([arguments, {}])])
        return call

    def abandon(self, call: int) -> None:
        """Nobody waits for it. Harmless if it was answered."""
        if self.calls.pop(call, None) is None:
            return
        sent = [each for each in self._fetches if each[0][1] != call]
        if len(sent) == len(self._fetches):
            self.say(["abandon", call])
        self._fetches = sent

    # events ----------------------------------------------------------------------------------------------------------

    def happened(self, events: Sequence[list[Any]], blobs: Sequence[bytes]) -> tuple[int, int] | None:
        """What the host of all languages tells. Returns handles of a request and of the right to answer it, if one
        began.
        """
        begun = None
        for name, *told_ in events:
            if name in _EVENTS:
                begun = getattr(self, _EVENTS[name])(blobs, *told_) or begun
        return begun

    def _init(self, blobs: Sequence[bytes], bindings: list[list[Any]], meta: dict[str, Any]) -> None:
        self.outbound, self._log_bytes = bool(meta.get("outbound", True)), int(meta.get("log_bytes", 0))
        for name, kind, value, *_ in bindings:
            if kind == "kv":
                self.stores[name] = value
            elif kind == "value" and isinstance(said := wire.load_value(blobs[value]), str):
                self.environment[name] = said

    def _fetch(
        self,
        blobs: Sequence[bytes],
        invocation: int,
        _entrypoint: str | None,
        _props: object,
        method: str,
        url: str,
        headers: HeaderPairs,
        body: list[Any] | None,
    ) -> tuple[int, int]:
        self.invocation = invocation
        self.log = Lines(self.say, invocation, self._log_bytes)
        return self._asked(method, url, headers, self._inflow(blobs, body))

    def _asked(self, method: str, url: str, headers: HeaderPairs, body: Inflow) -> tuple[int, int]:
        """The program is to answer a request: what its function is called with."""
        request = IncomingRequest(method, url, told(self.account, headers), body)
        return self.handles.add(request), self.handles.add(ResponseOutparam())

    def _other(self, _blobs: Sequence[bytes], invocation: int, *_: object) -> None:
        self._refuse(invocation, "no_method", "a component has no methods: it can be sent requests")

    def _handler(
        self, _blobs: Sequence[bytes], invocation: int, _entry: object, _props: object, name: str, *_: object
    ) -> None:
        self._refuse(invocation, "no_handler", f"a component has no handler {name!r}")

    def _refuse(self, invocation: int, reason: str, why: str) -> None:
        self.invocation = invocation
        self.say(["fail", invocation, reason, "", why, ""])
        self.refused = True

    def _inflow(self, blobs: Sequence[bytes], body: list[Any] | None) -> Inflow:
        match body:
            case ["b", blob]:
                return Inflow(self.account, self.say, blobs[blob], None)
            case ["s", number, length]:
                flow = self._inflows[number] = Inflow(self.account, self.say, b"", number, length)
                return flow
        return Inflow(self.account, self.say, b"", None)

    def _cancel(self, _blobs: Sequence[bytes], _invocation: int) -> None:
        self.cancelled = True

    def _data(self, blobs: Sequence[bytes], stream: int, blob: int | None, end: bool) -> None:
        if (flow := self._inflows.get(stream)) is not None and not flow.ended:
            flow.came(b"" if blob is None else blobs[blob], end)

    def _error(self, _blobs: Sequence[bytes], stream: int, message: str) -> None:
        if (flow := self._inflows.get(stream)) is not None:
            flow.broke_off(message)

    def _pull(self, _blobs: Sequence[bytes], stream: int, credit: int) -> None:
        if (flow := self._outflows.get(stream)) is not None:
            flow.pulled(credit)

    def _stop(self, _blobs: Sequence[bytes], stream: int) -> None:
        if (flow := self._outflows.get(stream)) is not None:
            flow.stop()

    def _resolve(self, blobs: Sequence[bytes], call: int, kind: str, *answer: Any) -> None:
        caller = self.calls.pop(call, None)
        match kind, answer:
            case "response", (status, headers, body, _url):
                flow = self._inflow(blobs, body)
                if caller is None:
                    flow.stop()
                else:
                    caller.answered(status, headers, flow)
            case "value", (blob,) if caller is not None:
                caller.answered(0, (("value", ""),), Inflow(self.account, self.say, blobs[blob], None))
            case "upgrade", _ if caller is not None:
                caller.failed("upstream", "a WebSocket is no answer for a component")

    def _reject(self, _blobs: Sequence[bytes], call: int, code: str, message: str, _type: str | None) -> None:
        if (caller := self.calls.pop(call, None)) is not None:
            caller.failed(code, message)

    # the end of a step -----------------------------------------------------------------------------------------------

    def output(self, *, over: bool) -> Output:
        """What the step gives out. `over`: the program has ended."""
        for effect, body in self._fetches:
            self._send(effect, 7, body)
        self._fetches.clear()
        if self._response is not None:
            response, self._response = self._response, None
            self._body = response.body
            self._send(
                ["respond", self.invocation, response.status, response.headers.pairs(), None], 4, self._body
            )
        for number, flow in tuple(self._outflows.items()):
            data = flow.take()
            if data or flow.finished:
                self.say(["data", number, 0, flow.finished], [data])
            if flow.given_up and not flow.stopped:
                self.say(["error", number, "the program gave this body up before it was complete"])
            if flow.finished or flow.given_up or flow.stopped:
                del self._outflows[number]
        if over:
            self._going = self._waits = None
            self.log.finish()
            for number in self._outflows:
                self.say(["error", number, "the program ended before this body was complete"])
            self.say(["done", self.invocation])
        effects, self._effects = self._effects, []
        return Output(None if over else self._wake(), effects)

    def last_words(self) -> list[Log]:
        """What the step that trapped has logged."""
        with suppress(OutputTooLarge):
            self.log.finish()
        return [effect for effect in self._effects if type(effect) is Log]

    def _send(self, effect: list[Any], place: int, flow: Outflow | None) -> None:
        """Give out an effect with a body: in hand if it is all there, otherwise a stream."""
        if flow is None:
            self.say(effect)
        elif flow.finished and flow.written <= WINDOW:
            effect[place] = ["b", 0]
            self.say(effect, [flow.take()])
        else:
            number = self._number()
            self._outflows[number] = flow
            effect[place] = ["s", number, flow.length]
            self.say(effect)


_EVENTS: Final = {
    "init": "_init",
    "fetch": "_fetch",
    "rpc": "_other",
    "handle": "_handler",
    "cancel": "_cancel",
    "data": "_data",
    "error": "_error",
    "pull": "_pull",
    "stop": "_stop",
    "resolve": "_resolve",
    "reject": "_reject",
}
"""Events that concern a program, and the method for each; there are no WebSockets for it, and it is no Durable Object.
"""
