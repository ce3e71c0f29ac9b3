"""Reads `https = { ... }` of a socket. One certificate is written as `cert` and `key`, several as `certificates`."""

from __future__ import annotations

from typing import Any

from pyworkerd_config import decode
from pyworkerd_config.decode import MISSING, Cursor, Field, Reader, Table, list_of, nested, sound
from pyworkerd_config.model import Acme, Certificate, Https

HTTPS_EXAMPLE = 'https = { cert = "cert.pem", key = "key.pem" }'

_KEYPAIR = (
    Field("cert", decode.path, 'cert = "cert.pem"', required=True),
    Field("key", decode.path, 'key = "key.pem"', required=True),
)


def _make_certificate(values: dict[str, Any], _cursor: Cursor) -> Any:
    return MISSING if MISSING in values.values() else Certificate(**values)


_read_list = list_of(nested(Table("a certificate", _KEYPAIR), _make_certificate), "a list of tables")


def _read_certificates(value: Any, cursor: Cursor, field: Field) -> Any:
    if value == []:
        return cursor.report(f"{cursor.label} must not be empty", f"write for example {field.example}")
    found = _read_list(value, cursor, field)
    return found if found is MISSING or len(found) == len(value) else MISSING


def _make_https(values: dict[str, Any], cursor: Cursor) -> Any:
    one = [key for key in ("cert", "key") if key in values]
    several = values.pop("certificates", None)
    if several is None and len(one) < 2:
        lacking = "key" if one == ["cert"] else "cert"
        return cursor.report(f'"https" needs "{lacking}"', f"write for example {HTTPS_EXAMPLE}")
    if several is not None and one:
        return cursor.inside(one[0]).report(
            f'"{one[0]}" beside "certificates"', 'write every certificate into "certificates"'
        )
    if several is None:
        several = (Certificate(values["cert"], values["key"]),)
    written = {values.pop(key) for key in one}
    if several is MISSING or MISSING in written or MISSING in values.values():
        return MISSING
    if "require_client_certs" in values and "client_ca" not in values:
        return cursor.inside("require_client_certs").report(
            '"require_client_certs" needs "client_ca"', 'write for example client_ca = "clients.pem"'
        )
    if "acme" in values and len(one) < 2:
        return cursor.inside("acme").report(
            '"acme" beside "certificates"', 'write one "cert" and one "key", which it keeps'
        )
    return Https(several, **sound(values))


ACME = Table(
    "acme",
    (
        Field(
            "hosts", list_of(decode.name, "a list of texts"), 'hosts = ["shop.example.com"]', required=True
        ),
        Field("agree_to_terms", decode.boolean, "agree_to_terms = true", required=True),
        Field("email", decode.name, 'email = "ops@example.com"'),
        Field("directory", decode.name, 'directory = "https://acme.example.com/directory"'),
    ),
)


def _make_acme(values: dict[str, Any], _cursor: Cursor) -> Any:
    return MISSING if MISSING in values.values() else Acme(**values)


HTTPS = Table(
    "https",
    (
        Field("cert", decode.path, 'cert = "cert.pem"'),
        Field("key", decode.path, 'key = "key.pem"'),
        Field("certificates", _read_certificates, 'certificates = [{ cert = "a.pem", key = "a.key" }]'),
        Field("min_version", decode.choice("1.2", "1.3"), 'min_version = "1.3"'),
        Field("client_ca", decode.path, 'client_ca = "clients.pem"'),
        Field("require_client_certs", decode.boolean, "require_client_certs = false"),
        Field("http2", decode.boolean, "http2 = true"),
        Field(
            "acme",
            nested(ACME, _make_acme),
            'acme = { hosts = ["shop.example.com"], agree_to_terms = true }',
        ),
    ),
)

read_https: Reader = nested(HTTPS, _make_https)
