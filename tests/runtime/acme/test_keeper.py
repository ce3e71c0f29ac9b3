"""A socket that has its certificate signed, by Pebble, while it listens; and what is told when that cannot be."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from pyworkerd.acme import keeper
from pyworkerd.errors import ConfigurationError
from pyworkerd.server import ServerOptions, bind
from pyworkerd.serving import Serving
from pyworkerd_config import Acme, Certificate, Config, Https, Service, Socket, Worker

from tests.runtime.acme.pebble import pebble, trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

SOURCE = "export default { fetch: (request) => new Response(request.url) };"


def served(folder: Path, directory: str = "https://localhost:1/dir") -> Config:
    (folder / "site").mkdir()
    (folder / "site/w.js").write_text(SOURCE)
    pair = Certificate(folder / "certs/site.pem", folder / "certs/site.key")
    acme = Acme(("LocalHost", "localhost"), agree_to_terms=True, directory=directory)
    return Config(
        sockets=(
            Socket("http", "127.0.0.1:0", "w"),
            Socket("https", "127.0.0.1:0", "w", Https((pair,), acme=acme)),
        ),
        services=(Service("w", Worker(folder / "site/w.js", folder / "site", global_outbound=None)),),
        state_dir=folder / "state",
    )


def shown(address: str) -> x509.Certificate:
    """The certificate that a client is shown."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), 60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")


def test_a_certificate_is_signed_while_the_socket_listens(
    with_runtime: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trust(tmp_path, monkeypatch)
    caplog.set_level(logging.INFO, "pyworkerd.acme")
    listener = bind("127.0.0.1:0")
    port = int(str(listener.address).rpartition(":")[2])

    with pebble(tmp_path, port) as directory:
        config = served(tmp_path, directory)

        async def main(runtime: Runtime) -> None:
            serving = Serving(runtime, ServerOptions(certificate_check=0.02))
            _, secure = await serving.start({"http": listener})
            first = await asyncio.to_thread(shown, secure.address)
            assert first.issuer == first.subject
            while (now := await asyncio.to_thread(shown, secure.address)) == first:
                assert not [r for r in caplog.records if r.levelno > logging.INFO]
                await asyncio.sleep(0.02)
            while not caplog.messages:  # its process has still to end
                await asyncio.sleep(0.02)
            assert "Pebble" in now.issuer.rfc4514_string()
            assert now.public_key() == first.public_key()
            assert caplog.messages == [f"{directory} signed a certificate for localhost"]
            # What is fresh is not ordered again, by a reload either.
            await serving.switch(await serving.prepare(replace(config, deploy="lazy")))
            assert await asyncio.to_thread(shown, secure.address) == now
            await serving.aclose()

        with_runtime(main, config)
    assert list((tmp_path / "state/acme/challenges").iterdir()) == []
    assert len(caplog.messages) == 1


def test_an_authority_that_is_not_there_is_told_and_the_socket_listens(
    with_runtime: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        _, secure = await serving.start()
        while not caplog.messages:
            await asyncio.sleep(0.01)
        (message,) = caplog.messages
        assert message.startswith(
            "no certificate for localhost from https://localhost:1/dir: ConnectionError: "
        )
        await asyncio.to_thread(shown, secure.address)
        await serving.aclose()

    with_runtime(main, served(tmp_path))


def test_an_order_ends_with_its_server(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    """The authority says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = served(tmp_path, f"https://localhost:{silent.getsockname()[1]}/dir")

        async def main(runtime: Runtime) -> None:
            serving = Serving(runtime)
            await serving.start()
            asked, _ = await asyncio.to_thread(silent.accept)
            with asked:
                await serving.aclose()
                while await asyncio.to_thread(asked.recv, 4096):  # until the client has gone
                    pass

        with_runtime(main, config)


def test_what_fails_is_tried_later_and_later() -> None:
    pauses = [keeper.pause_after(failures) for failures in range(200)]
    assert pauses[:4] == [keeper.LOOK_S, 300, 600, 1200]
    assert pauses[1:] == sorted(pauses[1:])
    assert max(pauses) == keeper.LOOK_S


def test_a_reload_that_asks_for_the_same_tries_nothing_sooner(tmp_path: Path) -> None:
    pair = Certificate(tmp_path / "a.pem", tmp_path / "a.key")
    wanted = [(Acme(("a.example",)), pair)]

    async def main() -> None:
        keeping = keeper.Keeper(lambda: list(wanted), keeper.folder_of(tmp_path))
        keeping.changed()
        assert not keeping._look.is_set()
        wanted.append((Acme(("b.example",)), pair))
        keeping.changed()
        assert keeping._look.is_set()

    asyncio.run(main())


def test_only_one_process_keeps_them(tmp_path: Path) -> None:
    """Another one that has the lock: nobody else looks at anything."""

    async def main() -> None:
        files = keeper.folder_of(tmp_path)
        files.prepare()
        looked: list[int] = []

        def wanted() -> list[tuple[Acme, Certificate]]:
            looked.append(1)
            return []

        with files.locked("keeper", wait=False):
            other = keeper.Keeper(wanted, files)
            assert not await asyncio.to_thread(other._lock, keeper.ExitStack())
        looked.clear()
        other.start()
        while not looked:
            await asyncio.sleep(0.001)
        await other.aclose()

    asyncio.run(main())


def test_nobody_is_asked_where_workers_are_tested_or_written(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime, certificates=False)
        _, secure = await serving.start()
        await serving.switch(await serving.prepare(replace(runtime.config, deploy="lazy")))
        await asyncio.to_thread(shown, secure.address)
        await serving.aclose()

    with_runtime(main, served(tmp_path))
    assert not list((tmp_path / "state/acme").glob("keeper*"))


def test_without_the_client_of_the_protocol(
    with_runtime: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "find_spec", lambda _: None)

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime)
        with pytest.raises(ConfigurationError, match=r"pip install 'pyworkerd\[acme\]'"):
            await serving.start()
        await serving.aclose()
        nobody_is_asked = Serving(runtime, certificates=False)
        await nobody_is_asked.start()
        await nobody_is_asked.aclose()

    with_runtime(main, served(tmp_path))
