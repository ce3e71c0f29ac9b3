"""`--socket-addr name=address`: other addresses than the configuration's, as workerd's option of that name. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyworkerd_config import ConfigError, Problem, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_config import Config

OPTION = "--socket-addr"


def with_addresses(config: Config, given: Sequence[str]) -> Config:
    """The same configuration, its sockets where the command line wants them. Raises `ConfigError`."""
    if not config.sockets:
        remedy = 'write [[sockets]] with name = "http", address = "127.0.0.1:8787" and service = "..."'
        raise ConfigError([Problem(config.place, "there is no socket to listen on", remedy)])
    sockets = {socket.name: socket for socket in config.sockets}
    problems = []
    for text in given:
        name, _, address = text.partition("=")
        if name not in sockets:
            known = ", ".join(sockets)
            problems.append(_problem(config, f"there is no socket named {name!r}", f"there are: {known}"))
        elif parse_address(address) is None:
            remedy = f"write for example {OPTION} {name}=127.0.0.1:8787"
            problems.append(_problem(config, f"malformed address {address!r}", remedy))
        else:
            sockets[name] = replace(sockets[name], address=address)
    if problems:
        raise ConfigError(problems)
    return replace(config, sockets=tuple(sockets.values()))


def _problem(config: Config, message: str, remedy: str) -> Problem:
    return Problem(config.place, f"{OPTION}: {message}", remedy)
