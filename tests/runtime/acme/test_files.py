"""What lies on the disk: a key that stays, a certificate that is replaced as a whole, and when it is to be."""

from __future__ import annotations

import datetime
import ssl
import stat
import threading
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyworkerd.acme.files import MAX_ANSWER, AcmeFiles, begin, renewal, write_whole
from pyworkerd.acme.keeper import begin_all
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import Acme, Certificate, Config, Https, Socket

from tests.runtime.server.pem import authority

if TYPE_CHECKING:
    from pathlib import Path


def ed25519() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


LONG_AGO = datetime.datetime.min.replace(tzinfo=UTC)


def test_a_socket_can_listen_before_there_is_a_certificate(tmp_path: Path) -> None:
    pair = Certificate(tmp_path / "certs/site.pem", tmp_path / "certs/site.key")
    files = AcmeFiles(tmp_path / "acme")
    begin(files, pair, ["a.example"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.cert, pair.key)
    assert renewal(pair.cert.read_bytes(), ["a.example"]) == LONG_AGO
    for path, mode in ((pair.key, 0o600), (files.folder, 0o700), (files.challenges, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    written = pair.cert.read_bytes(), pair.key.read_bytes()
    begin(files, pair, ["b.example"])
    assert (pair.cert.read_bytes(), pair.key.read_bytes()) == written


def test_whoever_comes_first_makes_the_key(tmp_path: Path) -> None:
    pair = Certificate(tmp_path / "site.pem", tmp_path / "site.key")
    all_at_once = [
        threading.Thread(target=begin, args=(AcmeFiles(tmp_path / "acme"), pair, ["a.example"]))
        for _ in range(8)
    ]
    for thread in all_at_once:
        thread.start()
    for thread in all_at_once:
        thread.join()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.cert, pair.key)
    assert {path.name for path in tmp_path.iterdir()} == {"site.pem", "site.key", "acme"}


def test_what_the_operator_put_there_stays(tmp_path: Path) -> None:
    pair = Certificate(tmp_path / "site.pem", tmp_path / "site.key")
    pair.cert.write_text("mine")
    begin(AcmeFiles(tmp_path / "acme"), pair, ["a.example"])
    assert (pair.cert.read_text(), pair.key.exists()) == ("mine", False)


def test_a_key_that_has_no_certificate_gets_another_one(tmp_path: Path) -> None:
    """A certificate was removed, or the process ended between the two."""
    pair = Certificate(tmp_path / "site.pem", tmp_path / "site.key")
    files = AcmeFiles(tmp_path / "acme")
    begin(files, pair, ["a.example"])
    key = pair.key.read_bytes()
    pair.cert.unlink()
    begin(files, pair, ["a.example"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.cert, pair.key)
    assert pair.key.read_bytes() == key


@pytest.mark.parametrize("key", [b"no key", ed25519()])
def test_a_key_that_cannot_be_used_is_said_with_its_name(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "site.key").write_bytes(key)
    https = Https(
        (Certificate(tmp_path / "site.pem", tmp_path / "site.key"),),
        acme=Acme(("a.example",), agree_to_terms=True),
    )
    with pytest.raises(ConfigurationError, match=r"site\.key: no certificate can be asked for with this key"):
        begin_all(Config(sockets=(Socket("https", "*:443", https=https),)), AcmeFiles(tmp_path / "acme"))


def test_one_at_a_time_has_a_lock(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path)
    with files.locked("x", wait=False) as mine:
        assert mine
        with files.locked("x", wait=False) as theirs, files.locked("y", wait=False) as another:
            assert (theirs, another) == (False, True)
    with files.locked("x", wait=False) as again:
        assert again


@pytest.mark.parametrize(
    ("hosts", "asked", "due"),
    [
        (["a.example"], ["a.example"], 20),
        (["a.example", "b.example"], ["b.example"], 20),
        (["A.example"], ["a.example"], 20),
        (["a.example"], ["A.example"], 20),
        (["a.example"], ["a.example", "b.example"], None),
        (["*.example"], ["a.example"], None),
    ],
)
def test_when_a_certificate_is_renewed(hosts: list[str], asked: list[str], due: int | None) -> None:
    """In days after it was signed, for one of thirty; None: at once."""
    begins = datetime.datetime.now(UTC).replace(microsecond=0)
    made = authority().issue_cert(*hosts, not_before=begins, not_after=begins + timedelta(days=30))
    pem = made.cert_chain_pems[0].bytes()
    assert renewal(pem, asked) == (LONG_AGO if due is None else begins + timedelta(days=due))


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_to_be_replaced(pem: bytes) -> None:
    assert renewal(pem, ["a.example"]) == LONG_AGO


def test_answers_are_bounded_and_those_that_are_not_there_are_none(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path / "acme")
    assert files.answer("token") is None
    files.prepare()
    assert files.answer("token") is None
    write_whole(files.challenges / "token", b"a" * 2 * MAX_ANSWER)
    assert files.answer("token") == b"a" * MAX_ANSWER
    (files.challenges / "folder").mkdir()
    assert files.answer("folder") is None


def test_a_file_that_cannot_be_put_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
