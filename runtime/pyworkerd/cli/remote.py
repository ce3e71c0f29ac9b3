"""The admin address of a running server, as commands ask it: where it is, with which token, and what it answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from pyworkerd_config import parse_address

from pyworkerd.problems import FAILED, MISTAKE, Fault, Refusal

from .configuration import add_named, read_configuration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from pyworkerd_config import Config

ADDRESS_VARIABLE: Final = "PYWORKERD_ADMIN"
TOKEN_VARIABLE: Final = "PYWORKERD_TOKEN"  # noqa: S105 - its name, not the token
TIMEOUT_S: Final = 120.0
"""A version is unpacked, built and tried before the server answers."""
MAX_ANSWER: Final = 32 << 20
MAX_TOKEN: Final = 4096
_EVERYWHERE: Final = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
"""Where this machine finds what listens on all of its addresses; `[::]` are those of IPv6 alone."""
_MISTAKES: Final = frozenset((400, 401, 403, 404, 409, 413, 415, 422))
"""Statuses of what somebody has to write in another way."""


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which server is meant, and which of its services; `add_named` comes with them."""
    add_named(parser)
    parser.set_defaults(config=None, constant=None)
    add_server(parser)


def add_server(parser: argparse.ArgumentParser) -> None:
    """The same for a command that has the arguments of a configuration already."""
    add_address(parser)
    parser.add_argument(
        "--service", metavar="NAME", help="which service (default: the configuration's, if it has one worker)"
    )
    parser.add_argument("--json", action="store_true", help="print what the server answers as JSON")


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add those that say where the server is, and with which token it is asked."""
    parser.add_argument(
        "--to",
        metavar="ADDRESS",
        help=f"admin address of the server: host:port, http://host:port or unix:/path (default: ${ADDRESS_VARIABLE}, "
        "or what the configuration says)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file with the token for it (default: ${TOKEN_VARIABLE})",
    )


class Remote(NamedTuple):
    """A server that can be asked."""

    address: str
    token: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> Any:
        """What it answers, as JSON. Raises `Refusal` with what it says is wrong, or if it cannot be reached."""
        headers = {"content-type": kind} if body is not None else {}
        connection = self._connect(TIMEOUT_S)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said why
                connection.request(method, _target(path, query), body, {**self._headers(), **headers})
            response = connection.getresponse()
            data = response.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise self.silent(error) from None
        finally:
            connection.close()
        return _answer(self.address, response.status, data)

    @contextlib.contextmanager
    def stream(
        self, path: str, query: Mapping[str, object], silence_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that has no end, to be read as it comes. Raises `Refusal` with what the server says is wrong.

        If it cannot be reached, or says nothing for so many seconds, this or reading raises OSError or
        `http.client.HTTPException`.
        """
        connection = self._connect(silence_s)
        try:
            connection.request("GET", _target(path, query), headers=self._headers())
            response = connection.getresponse()
            if response.status != 200:
                _answer(self.address, response.status, response.read(MAX_ANSWER))
            yield response
        finally:
            connection.close()

    def silent(self, error: Exception) -> Refusal:
        """What is wrong where it cannot be reached."""
        return Refusal.of(f"{self.address} cannot be asked: {str(error) or type(error).__name__}", FAILED)

    def _headers(self) -> dict[str, str]:
        given = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        return {"accept": "application/json", **given}

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            return _UnixConnection(self.address.removeprefix("unix:"), timeout)
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def remote_of(options: argparse.Namespace, config: Config | None = None) -> Remote:
    """The server that is meant. Raises `Refusal` if none is, `ConfigError`."""
    address = options.to or os.environ.get(ADDRESS_VARIABLE)
    if not address:
        config = config or read_configuration(options)
        address = config.admin.address if config.admin is not None else None
    if not address:
        raise Refusal.of(
            f"no server is named: write --to unix:/path or --to host:port, or set {ADDRESS_VARIABLE}"
        )
    address = _normal(address)
    token = _token(options.token_file)
    if token is not None and address.startswith("http://") and not _is_local(address):
        sys.stderr.write("warning: the token crosses the network in the clear: use ssh -L\n")
    return Remote(address, token)


def service_of(options: argparse.Namespace, config: Config | None = None) -> str:
    """The service that is meant. Raises `Refusal` if it is not clear which, `ConfigError`."""
    if options.service is not None:
        return str(options.service)
    from pyworkerd_config.model import Worker  # noqa: PLC0415 (not where it is named)

    config = config or read_configuration(options)
    workers = [service.name for service in config.services if isinstance(service.kind, Worker)]
    if len(workers) != 1:
        raise Refusal.of(f"name a service with --service: there are {', '.join(workers) or 'none'}")
    return workers[0]


def path_of(service: str, *parts: str) -> str:
    """Below the root of the API."""
    return "/services/" + "/".join(quote(part, safe="") for part in (service, *parts))


def encode(value: object) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()


def _target(path: str, query: Mapping[str, object] | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return f"/api/v1{path}" + (f"?{urlencode(given)}" if given else "")


def _normal(address: str) -> str:
    if address.startswith("unix:"):
        return address
    if address.startswith(("http://", "https://")):
        with contextlib.suppress(ValueError):
            if urlsplit(address).port != 0:
                return address
    elif parse_address(address) is not None:
        return _of_host(address)
    raise Refusal.of(f"{address!r} is no address: write unix:/path, host:port or http://host:port")


def _of_host(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"http://{_EVERYWHERE.get(host, host)}:{port}"


def _is_local(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(path: Path | None) -> str | None:
    if path is None:
        place, token = f"${TOKEN_VARIABLE}", os.environ.get(TOKEN_VARIABLE, "")
    else:
        try:
            with path.open(encoding="ascii") as file:
                place, token = str(path), file.read(MAX_TOKEN)
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal.of(f"{path} cannot be read as a token: {error}") from None
    token = token.strip()
    if not (
        token.isascii() and token.isprintable()
    ):  # nothing that a header can hold; who says so must not repeat it
        raise Refusal.of(f"{place} holds no token: one is a line of printable ASCII")
    return token or None


def _answer(address: str, status: int, data: bytes) -> Any:
    try:
        said = json.loads(data) if data else None
    except ValueError:
        raise Refusal.of(
            f"{address} does not talk as an admin address does (status {status})", FAILED
        ) from None
    if 200 <= status < 300:
        return said
    detail = str(said.get("detail", "")) if isinstance(said, dict) else ""
    faults = [Fault(detail or f"the server answered {status}")]
    faults += (
        [Fault(str(each["text"])) for each in (said.get("problems") or [])[1:]]
        if isinstance(said, dict)
        else []
    )
    raise Refusal(faults, MISTAKE if status in _MISTAKES else FAILED)
