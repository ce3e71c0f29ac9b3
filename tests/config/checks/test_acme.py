"""Sockets whose certificate an authority signs: what can be written, and what cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Acme, Certificate, ConfigError, Https, Place, check, parse_toml, to_toml
from pyworkerd_config.model import LETS_ENCRYPT

PLAIN = """
[[services]]
name = "s"
network = {}
[[sockets]]
name = "http"
address = "*:80"
service = "s"
"""
SECURE = """
[[sockets]]
name = "https"
address = "*:443"
service = "s"
[sockets.https]
cert = "a.pem"
key = "a.key"
"""
PLACE = Place(Path("c.toml"))


def problems(acme: str, before: str = PLAIN) -> list[str]:
    return [str(found) for found in check(parse_toml(f"{before}{SECURE}acme = {acme}\n", PLACE))]


def test_what_is_written() -> None:
    written = '{ hosts = ["a.example", "b.example"], agree_to_terms = true, email = "o@a.example" }'
    text = f"{PLAIN}{SECURE}acme = {written}\n"
    config = parse_toml(text, PLACE)
    pair = Certificate(Path("a.pem"), Path("a.key"))
    acme = Acme(("a.example", "b.example"), agree_to_terms=True, email="o@a.example", directory=LETS_ENCRYPT)
    assert config.sockets[1].https == Https((pair,), acme=acme)
    assert check(config) == []
    assert parse_toml(to_toml(config), PLACE) == config
    assert parse_toml(to_toml(config, defaults=True), PLACE) == config


@pytest.mark.parametrize(
    ("acme", "said"),
    [
        ("{ hosts = ['a.example'], agree_to_terms = false }", "unless you agree to its terms of service"),
        ("{ hosts = [], agree_to_terms = true }", "a certificate is for 1 to 100 hosts, found 0"),
        ("{ hosts = ['*.example'], agree_to_terms = true }", '"*.example" is no name of a host'),
        ("{ hosts = ['192.0.2.1'], agree_to_terms = true }", '"192.0.2.1" is no name of a host'),
        ("{ hosts = ['a.example/x'], agree_to_terms = true }", '"a.example/x" is no name of a host'),
        (
            "{ hosts = ['a.example'], agree_to_terms = true, directory = 'http://a.example/' }",
            '"http://a.example/" is no directory of an authority',
        ),
    ],
)
def test_what_cannot_work(acme: str, said: str) -> None:
    (problem,) = problems(acme)
    assert said in problem
    assert problem.startswith("c.toml:")


def test_somebody_has_to_answer_on_port_80() -> None:
    before = '[[services]]\nname = "s"\nnetwork = {}\n'
    (problem,) = problems("{ hosts = ['a.example'], agree_to_terms = true }", before)
    assert "no socket without TLS is there to prove whose the hosts are" in problem


def test_one_file_has_one_certificate() -> None:
    written = '{ hosts = ["a.example"], agree_to_terms = true }'
    other = SECURE.replace('"https"', '"more"').replace("443", "444")
    assert problems(written, f"{PLAIN}{other}acme = {written}\n") == []
    (problem,) = problems(written, f"{PLAIN}{other}acme = {written.replace('a.e', 'b.e')}\n")
    assert 'the socket "more" keeps another certificate in "a.pem"' in problem


def test_it_keeps_one_certificate() -> None:
    text = (
        f'{PLAIN}[[sockets]]\nname = "https"\naddress = "*:443"\nservice = "s"\nhttps = {{ certificates = '
        '[{ cert = "a.pem", key = "a.key" }], acme = { hosts = ["a.example"], agree_to_terms = true } }\n'
    )
    with pytest.raises(ConfigError, match='"acme" beside "certificates"'):
        parse_toml(text, PLACE)
