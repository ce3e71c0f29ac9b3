"""What a guest may ask to be computed: a table of methods, each with the exact types of its parameters.

Everything here computes in the calling thread.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from pyworkerd_isolates import wire

from pyworkerd.bindings import arguments as args
from pyworkerd.errors import NoSuchMethod

from . import ciphers, keys, signatures, stretching
from .faults import not_supported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Parameters: TypeAlias = dict[str, type]

MAX_ARGUMENTS: Final = 8 << 20
"""Bytes of all arguments: what a guest can say in one step, and a little more."""


class _Method(NamedTuple):
    parameters: Parameters
    function: Callable[..., Any]


def perform(method: str, arguments: bytes) -> bytes:
    """Perform a method: encoded arguments in, the encoded result out. Raises what is for the guest."""
    found = METHODS.get(method)
    if found is None:
        raise NoSuchMethod(f"there is no operation {method[:40]!r}")
    bound = args.bind(method, found.parameters, args.decode(arguments, MAX_ARGUMENTS, args.SMALL))
    return wire.dump_value(found.function(**bound))


def _described(key: keys.Public | keys.Private) -> list[Any]:
    return [keys.material_of(key), keys.rsa_details(key)]


def _import(kind: str, format_: str, data: bytes) -> list[Any]:
    read = _FORMATS.get(format_)
    if read is None:
        raise not_supported("there is no such format")
    return _described(read(kind, data))


def _import_jwk(kind: str, members: dict[str, bytes]) -> list[Any]:
    return _described(keys.from_members(kind, members))


def _export_jwk(kind: str, private: bool, key: bytes) -> dict[str, bytes]:
    return keys.members_of(keys.private_key(kind, key) if private else keys.public_key(kind, key))


def _pair(key: keys.Private) -> list[bytes]:
    return [keys.material_of(key.public_key()), keys.material_of(key)]


def _generate(kind: str) -> list[bytes]:
    return _pair(keys.generate(kind))


def _generate_rsa(bits: int, exponent: int) -> list[bytes]:
    return _pair(keys.generate_rsa(bits, exponent))


_FORMATS: Final[Mapping[str, Callable[[str, bytes], keys.Public | keys.Private]]] = {
    "spki": keys.public_key,
    "pkcs8": keys.private_key,
    "raw": keys.point,
}
_DIGEST: Final[Parameters] = {"key": bytes, "hash_": str, "digest": bytes}
_PSS: Final[Parameters] = {"key": bytes, "hash_": str, "salt": int, "digest": bytes}
_MESSAGE: Final[Parameters] = {"key": bytes, "data": bytes}
_SIGNED: Final[Parameters] = {"signature": bytes}
_OAEP: Final[Parameters] = {"key": bytes, "hash_": str, "label": bytes, "data": bytes}
_CBC: Final[Parameters] = {"key": bytes, "iv": bytes, "data": bytes}
_CTR: Final = _Method({"key": bytes, "counter": bytes, "bits": int, "data": bytes}, ciphers.ctr)
_GCM: Final[Parameters] = {"key": bytes, "iv": bytes, "additional": bytes, "bits": int, "data": bytes}


def _of_every_key(kind: str) -> dict[str, _Method]:
    return {
        f"import {kind}": _Method({"format_": str, "data": bytes}, partial(_import, kind)),
        f"import {kind} JWK": _Method({"members": dict}, partial(_import_jwk, kind)),
        f"export {kind} JWK": _Method({"private": bool, "key": bytes}, partial(_export_jwk, kind)),
    }


def _of_a_curve(kind: str) -> dict[str, _Method]:
    methods = {f"generate {kind}": _Method({}, partial(_generate, kind))}
    if kind in keys.SIGNING:
        methods[f"sign {kind}"] = _Method(_MESSAGE, partial(signatures.sign_edwards, kind))
        methods[f"verify {kind}"] = _Method(_MESSAGE | _SIGNED, partial(signatures.verify_edwards, kind))
        return methods
    agree = partial(signatures.agree, kind)
    methods[f"agree {kind}"] = _Method({"key": bytes, "public": bytes}, agree)
    if kind in keys.CURVES:
        methods[f"sign {kind}"] = _Method(_DIGEST, partial(signatures.sign_ecdsa, kind))
        methods[f"verify {kind}"] = _Method(_DIGEST | _SIGNED, partial(signatures.verify_ecdsa, kind))
    return methods


METHODS: Final[Mapping[str, _Method]] = {
    **{name: each for kind in keys.KINDS for name, each in _of_every_key(kind).items()},
    **{name: each for kind in keys.KINDS if kind != keys.RSA for name, each in _of_a_curve(kind).items()},
    "generate RSA": _Method({"bits": int, "exponent": int}, _generate_rsa),
    "sign RSASSA-PKCS1-v1_5": _Method(_DIGEST, signatures.sign_pkcs1),
    "verify RSASSA-PKCS1-v1_5": _Method(_DIGEST | _SIGNED, signatures.verify_pkcs1),
    "sign RSA-PSS": _Method(_PSS, signatures.sign_pss),
    "verify RSA-PSS": _Method(_PSS | _SIGNED, signatures.verify_pss),
    "encrypt RSA-OAEP": _Method(_OAEP, signatures.encrypt_oaep),
    "decrypt RSA-OAEP": _Method(_OAEP, signatures.decrypt_oaep),
    "encrypt AES-CBC": _Method(_CBC, partial(ciphers.cbc, encrypt=True)),
    "decrypt AES-CBC": _Method(_CBC, partial(ciphers.cbc, encrypt=False)),
    "encrypt AES-CTR": _CTR,
    "decrypt AES-CTR": _CTR,
    "encrypt AES-GCM": _Method(_GCM, ciphers.gcm_encrypt),
    "decrypt AES-GCM": _Method(_GCM, ciphers.gcm_decrypt),
    "encrypt AES-KW": _Method(_MESSAGE, ciphers.wrap),
    "decrypt AES-KW": _Method(_MESSAGE, ciphers.unwrap),
    "scrypt": _Method(stretching.PARAMETERS, stretching.scrypt),
}
"""By name: what is done, and with which kind of key; the guest's half (`web/crypto_operations.js`) has the same."""
