"""HTTP without I/O: bytes to request events (`Parser`), responses to bytes (`writer`).

Read in this order: `semantics` (the rules), `parser` (the machine), `chunked`, `writer`.
"""

from __future__ import annotations

from .events import BodyData, EndOfRequest, Event, RequestHead
from .limits import HttpLimits
from .parser import Parser
from .parsers import PARSERS, ParserName, parser_class

__all__ = [
    "PARSERS",
    "BodyData",
    "EndOfRequest",
    "Event",
    "HttpLimits",
    "Parser",
    "ParserName",
    "RequestHead",
    "parser_class",
]
