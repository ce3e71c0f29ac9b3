"""Handshakes as clients see them: which certificate, which version; and renewal while connections go on."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path

import pytest
from pyworkerd.server import Edge
from pyworkerd.server.tls import Tls, certificate_problems
from pyworkerd_config import Acme, Certificate, Config, ConfigError, Https, Place, parse_toml

from tests.runtime.server.client import Client, Site, get, hello, run, site
from tests.runtime.server.pem import authority, client_context, pair, socket_of, write


async def opened(https: Https) -> Tls:
    return await Tls.open(socket_of(https), https)


async def secure(place: Site, name: str, context: ssl.SSLContext | None = None) -> Client:
    return await place.connect(ssl=context or client_context(), server_hostname=name)


def serial(client: Client) -> str:
    return str(client.writer.get_extra_info("peercert")["serialNumber"])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_client_says_whom_it_wants(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        pairs = (
            pair(tmp_path, "a.example", stem="a"),
            pair(tmp_path, "*.b.example", stem="b"),
            pair(tmp_path, "127.0.0.1", stem="c"),
        )
        async with site(hello, Edge(await opened(Https(pairs)))) as place:
            for name in ("a.example", "www.b.example", "WWW.B.example"):
                client = await secure(place, name)
                assert (await client.ask(get("/")))[0] == 200
            with pytest.raises(ssl.SSLCertVerificationError, match=r"IP address mismatch|not valid for"):
                await secure(place, "127.0.0.1")  # no SNI: the first certificate answers
            with pytest.raises(ssl.SSLCertVerificationError):
                await secure(place, "c.example")

    run(main, loop)


def test_versions(tmp_path: Path) -> None:
    async def main() -> None:
        old = client_context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        older = client_context()
        older.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        older.maximum_version = ssl.TLSVersion.TLSv1_1
        older.set_ciphers("ALL:@SECLEVEL=0")
        certificate = pair(tmp_path, "a.example")
        async with site(hello, Edge(await opened(Https((certificate,))))) as place:
            assert (await secure(place, "a.example", old)).writer.get_extra_info("cipher")[1] == "TLSv1.2"
            with pytest.raises(OSError):  # asyncio closes without an alert
                await secure(place, "a.example", older)
        async with site(hello, Edge(await opened(Https((certificate,), "1.3")))) as place:
            with pytest.raises(OSError):
                await secure(place, "a.example", old)
            assert (await secure(place, "a.example")).writer.get_extra_info("cipher")[1] == "TLSv1.3"

    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        run(main)


def test_a_renewed_certificate_is_used_and_nobody_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        certificate = pair(tmp_path, "a.example")
        tls = await opened(Https((certificate,)))
        async with site(hello, Edge(tls)) as place:
            before = await secure(place, "a.example")
            assert not await tls.refresh()
            write(certificate, authority().issue_cert("a.example"))
            assert await tls.refresh()
            after = await secure(place, "a.example")
            assert serial(before) != serial(after)
            for client in (before, after):
                assert (await client.ask(get("/")))[0] == 200

    with caplog.at_level(logging.INFO, "pyworkerd.server"):
        run(main)
    assert [message for message in caplog.messages if "is in use" in message] == [
        f"the certificate {tmp_path / 'site.pem'} is in use"
    ]


def test_what_cannot_be_used_leaves_the_old_one_in_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        certificate = pair(tmp_path, "a.example")
        tls = await opened(Https((certificate,)))
        async with site(hello, Edge(tls)) as place:
            was = serial(await secure(place, "a.example"))
            made = authority().issue_cert("a.example")
            # Half of a renewal: the new certificate is there, its key is not yet.
            made.cert_chain_pems[0].write_to_path(str(certificate.cert))
            for _ in range(3):
                assert not await tls.refresh()
            assert serial(await secure(place, "a.example")) == was
            certificate.key.unlink()
            assert not await tls.refresh()
            assert serial(await secure(place, "a.example")) == was
            write(certificate, made)
            assert await tls.refresh()
            assert serial(await secure(place, "a.example")) != was

    with caplog.at_level(logging.WARNING, "pyworkerd.server"):
        run(main)
    assert len(caplog.messages) == 2  # once for each state of the files, not for each look
    assert "does not belong to the certificate" in caplog.messages[0]
    assert "does not exist" in caplog.messages[1]
    assert all("the one before it stays" in message for message in caplog.messages)


def test_the_server_looks_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        certificate = pair(tmp_path, "a.example")
        tls = await opened(Https((certificate,)))
        async with site(hello, Edge(tls), certificate_check=0.001) as place:
            was = serial(await secure(place, "a.example"))
            write(certificate, authority().issue_cert("a.example"))
            while serial(await secure(place, "a.example")) == was:
                await asyncio.sleep(0.001)

    run(main)


def test_watching_outlives_what_nobody_expected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        tls = await opened(Https((pair(tmp_path, "a.example"),)))
        looks = []

        async def fail() -> bool:
            looks.append(1)
            raise RuntimeError("disk on fire")

        tls.refresh = fail  # type: ignore[method-assign]
        watching = asyncio.create_task(tls.watch(0))
        while len(looks) < 2:
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching])

    with caplog.at_level(logging.ERROR, "pyworkerd.server"):
        run(main)
    assert "certificates could not be looked at" in caplog.messages


KEY_REMEDY = "it holds a key; name a file that begins -----BEGIN CERTIFICATE-----"
TEXT = """
[[sockets]]
name = "a"
address = "127.0.0.1:0"
service = "internet"
[sockets.https]
cert = "site.pem"
key = "no.key"

[[sockets]]
name = "b"
address = "127.0.0.1:0"
service = "internet"
https = { certificates = [
  { cert = "site.pem", key = "site.key" },
  { cert = "other.pem", key = "site.key" },
], client_ca = "site.key" }
"""


def configuration(folder: Path) -> Config:
    return parse_toml(TEXT, Place(folder / "config.toml"))


def test_problems_have_a_place_and_a_remedy(tmp_path: Path) -> None:
    pair(tmp_path, "a.example")
    config = configuration(tmp_path)
    lines = [str(problem).replace(f"{tmp_path}{os.sep}", "") for problem in certificate_problems(config)]
    assert lines == [
        "config.toml:8: no.key does not exist: create it or correct the path",
        f"config.toml:17: site.key holds no certificate in PEM form: {KEY_REMEDY}",
        "config.toml:16: other.pem does not exist: create it or correct the path",
    ]

    async def main() -> None:
        https = config.sockets[0].https
        assert https is not None
        with pytest.raises(ConfigError, match=r"config\.toml:8: .*no\.key does not exist"):
            await Tls.open(config.sockets[0], https)

    run(main)


def test_a_configuration_without_files_has_the_sockets_place() -> None:
    https = Https((Certificate(Path("no.pem"), Path("no.key")),))
    (problem,) = certificate_problems(Config(sockets=(socket_of(https),)))
    assert str(problem) == "<config>: no.pem does not exist: create it or correct the path"


def test_a_certificate_that_an_authority_has_still_to_sign_is_not_missed(tmp_path: Path) -> None:
    """Whatever is there already: the key, and whose clients are let in."""
    client_ca = tmp_path / "ca.pem"
    client_ca.write_bytes(authority().cert_pem.bytes())
    kept = Certificate(tmp_path / "site.pem", tmp_path / "site.key")
    kept.key.write_bytes(pair(tmp_path, "a.example", stem="a").key.read_bytes())
    https = Https((kept,), client_ca=client_ca, acme=Acme(("a.example",), agree_to_terms=True))
    assert certificate_problems(Config(sockets=(socket_of(https),))) == []
    kept.cert.write_text("no certificate")
    assert certificate_problems(Config(sockets=(socket_of(https),)))
