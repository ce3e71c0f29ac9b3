from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import ConfigurationError, NoSuchMethod, UpstreamError
from pyworkerd.messages import Body, Request, header
from pyworkerd.services.external import ExternalService
from pyworkerd.services.network import NetworkService
from pyworkerd.testing.resolver import FixedResolver
from pyworkerd_config.model import External, Network

from tests.runtime.services.http_server import Incoming, reply, serve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for api.example and its key, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with the openssl command")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=DNS:api.example"]
    subprocess.run(
        ["openssl", *what.split(), *names, "-keyout", str(path), "-out", f"{path}.crt"],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_name("both.pem.crt").read_text())
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_side(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.with_name("both.pem.crt")))


@pytest.mark.parametrize(
    "url", ["http://shop.example/p?q", "https://shop.example/p?q", "http://10.0.0.1:81/p?q"]
)
def test_everything_goes_to_the_one_server_and_host_is_kept(url: str) -> None:
    async def main() -> None:
        async with serve(reply(b"here")) as server:
            service = ExternalService("legacy", External(f"127.0.0.1:{server.port}"))
            response = await service.fetch(Request("POST", url, body=Body(b"x")))
            assert await response.body.read() == b"here"
            await service.aclose()
            (request,) = server.requests
            assert request.target == "/p?q"
            assert request.header("host") == url.split("/")[2]

    asyncio.run(main())


def test_the_address_may_be_a_name() -> None:
    async def main() -> None:
        async with serve(reply(b"here")) as server:
            names = FixedResolver({"legacy.internal": ["127.0.0.1"]})
            model = External(f"legacy.internal:{server.port}")
            service = ExternalService("legacy", model, resolver=names)
            response = await service.fetch(Request("GET", "http://shop.example/"))
            assert await response.body.read() == b"here"
            await service.aclose()
            assert names.asked == ["legacy.internal"]

    asyncio.run(main())


def test_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        async with serve(reply(b"here"), unix=tmp_path / "s") as server:
            service = ExternalService("legacy", External(f"unix:{tmp_path / 's'}"))
            response = await service.fetch(Request("GET", "https://shop.example/p"))
            assert await response.body.read() == b"here"
            await service.aclose()
            assert server.requests[0].header("host") == "shop.example"

    asyncio.run(main())


def test_redirects_are_answers_unless_asked_for_and_stay_at_the_server() -> None:
    async def answer(incoming: Incoming, writer: asyncio.StreamWriter) -> None:
        moved = "Location: http://elsewhere.example/end"
        if incoming.target == "/":
            await reply(b"", "302 Found", (moved,))(incoming, writer)
        else:
            await reply(b"end")(incoming, writer)

    async def main() -> None:
        async with serve(answer) as server:
            service = ExternalService("legacy", External(f"127.0.0.1:{server.port}"))
            request = Request("GET", "http://shop.example/", (("authorization", "s"),))
            response = await service.fetch(request)
            assert response.status == 302
            assert header(response.headers, "location") == "http://elsewhere.example/end"
            followed = await service.fetch(request, redirect="follow")
            assert await followed.body.read() == b"end"
            await service.aclose()
            assert server.requests[-1].header("host") == "elsewhere.example"
            assert server.requests[-1].header("authorization") is None

    asyncio.run(main())


@pytest.mark.parametrize("certificate_host", ["api.example", None, "other.example"])
def test_tls(certificate: Path, certificate_host: str | None) -> None:
    async def main() -> None:
        async with serve(reply(b"here"), tls=server_side(certificate)) as server:
            model = External(f"localhost:{server.port}", https=True, certificate_host=certificate_host)
            names = FixedResolver({"localhost": ["127.0.0.1"]})
            service = ExternalService("legacy", model, resolver=names, tls=client_side(certificate))
            request = Request("GET", "http://shop.example/")
            if certificate_host == "api.example":
                assert await (await service.fetch(request)).body.read() == b"here"
            else:
                with pytest.raises(UpstreamError) as caught:
                    await service.fetch(request)
                assert str(caught.value) == "no TLS connection with shop.example could be made"
            await service.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "trusted"), [("api.example", True), ("other.example", True), ("api.example", False)]
)
def test_a_network_checks_certificates(certificate: Path, host: str, trusted: bool) -> None:
    async def main() -> None:
        async with serve(reply(b"here"), tls=server_side(certificate)) as server:
            names = FixedResolver({host: ["127.0.0.1"]})
            tls = client_side(certificate) if trusted else None
            service = NetworkService("internet", Network(allow=("local",)), resolver=names, tls=tls)
            request = Request("GET", f"https://{host}:{server.port}/")
            if (host, trusted) == ("api.example", True):
                assert await (await service.fetch(request)).body.read() == b"here"
            else:
                with pytest.raises(UpstreamError, match="no TLS connection"):
                    await service.fetch(request)
            await service.aclose()

    asyncio.run(main())


def test_errors_name_the_guests_host_and_never_the_operators() -> None:
    async def main() -> None:
        for model in (
            External("127.0.0.1:1"),
            External("unix:/nowhere/at/all"),
            External("no-such-name.internal:80"),
        ):
            service = ExternalService("legacy", model, resolver=FixedResolver({}))
            with pytest.raises(UpstreamError) as caught:
                await service.fetch(Request("GET", "http://shop.example/"))
            assert "shop.example" in str(caught.value)
            assert not any(word in str(caught.value) for word in ("127.0", "nowhere", "internal"))
            await service.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "model",
    [
        External(""),
        External("unix:"),
        External("unix:/a\0b"),
        External("unix:/s", https=True),
        External("a b:80"),
        External("host:0"),
        External("host:65536"),
        External("host:x"),
        External("user@host:80"),
        External("http://host"),
        External("host/path"),
        External("[::1"),
    ],
)
def test_addresses_that_cannot_work(model: External) -> None:
    with pytest.raises(ConfigurationError, match="'legacy'"):
        ExternalService("legacy", model)


def test_an_external_server_has_no_methods() -> None:
    with pytest.raises(NoSuchMethod):
        asyncio.run(ExternalService("legacy", External("host:80")).call("add", b""))
