"""The parsers by name. One row adds one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from .parser import Parser

ParserName = Literal["httptools", "h11"]

PARSERS: Final[dict[ParserName, str]] = {
    "httptools": "pyworkerd.http.httptools_parser:HttptoolsParser",
    "h11": "pyworkerd.http.h11_parser:H11Parser",
}


def parser_class(name: ParserName) -> type[Parser]:
    """The class behind a name; called once per server. Raises KeyError for a name without a row."""
    module, _, attribute = PARSERS[name].partition(":")
    return cast("type[Parser]", getattr(import_module(module), attribute))
