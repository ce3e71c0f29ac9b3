"""What a `tail` handler is given: what invocations of other workers did."""

from __future__ import annotations

from .rpc import JsDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class TailRequest(JsDict):
    """The request of an invocation: `method`, `url` and `headers`, without credentials and ids."""

    __slots__ = ("_whole",)

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told)
        hidden = self.pop("unredacted")
        whole = JsDict(self, url=hidden["url"], headers=JsDict(self["headers"] | hidden["headers"]))
        object.__setattr__(self, "_whole", whole)

    def get_unredacted(self) -> JsDict:
        """The same with all that it had."""
        return self._whole

    getUnredacted = get_unredacted


class TraceItems(list):
    """A list of invocations that have ended, each a dictionary whose keys are attributes too."""

    def __init__(self, items: Iterable[JsDict]) -> None:
        super().__init__(items)
        for item in self:
            event = item["event"]
            if "request" in event:
                event["request"] = TailRequest(event["request"])

    def _outcome(self) -> None:
        """Nobody waits for what becomes of them."""
