"""The table of operations: what a guest says is read with its types and bounds, and never more than refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.errors import NoSuchMethod, PyworkerdError, WorkerException
from pyworkerd.webcrypto.capability import QUICK
from pyworkerd.webcrypto.operations import METHODS, perform
from pyworkerd_isolates import wire


def do(method: str, *positional: Any, **named: Any) -> Any:
    return wire.load_value(perform(method, wire.dump_value([list(positional), named])))


def test_a_key_is_generated_exported_imported_and_used() -> None:
    public, private = do("generate P-256")
    members = do("export P-256 JWK", True, private)
    material, details = do("import P-256 JWK", members)
    assert (material, details) == (private, None)
    signature = do("sign P-256", private, "SHA-256", bytes(32))
    assert do("verify P-256", public, "SHA-256", bytes(32), signature) is True
    assert do("import P-256", "spki", public) == [public, None]


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("sign MD5", [], "there is no operation 'sign MD5'"),
        ("__class__", [], "there is no operation"),
        ("generate P-256", [1], "takes 0 arguments but 1 were given"),
        ("sign P-256", [b"", b"", b""], "'hash_' must be str, not bytes"),
        ("export P-256 JWK", [1, b""], "'private' must be bool, not int"),
        ("encrypt AES-CTR", [b"", b"", 1.0, b""], "'bits' must be int, not float"),
        ("encrypt AES-KW", [b""], "is missing the argument 'data'"),
        ("import RSA", ["text", b""], "there is no such format"),
    ],
)
def test_what_is_refused(method: str, arguments: list[Any], message: str) -> None:
    with pytest.raises((WorkerException, NoSuchMethod), match=message):
        do(method, *arguments)


VALUES: dict[type, st.SearchStrategy[Any]] = {
    bytes: st.binary(max_size=200) | st.sampled_from([bytes(16), bytes(32)]),
    str: st.sampled_from(["SHA-1", "SHA-256", "SHA-512", "spki", "pkcs8", "raw", ""]),
    int: st.integers(-1, 200) | st.integers(min_value=2**40),
    bool: st.booleans(),
    dict: st.dictionaries(
        st.sampled_from(["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"]), st.binary(max_size=70)
    ),
}


@given(st.data(), st.sampled_from(sorted(METHODS)))
def test_whatever_a_guest_says_is_answered_or_refused(data: st.DataObject, method: str) -> None:
    arguments = [data.draw(VALUES[kind]) for kind in METHODS[method].parameters.values()]
    with suppress(PyworkerdError):
        do(method, *arguments)


@given(st.sampled_from(["P-256", "Ed25519", "X25519"]), st.data())
def test_keys_that_were_tampered_with(kind: str, data: st.DataObject) -> None:
    """A key comes back from the guest's memory, which is the tenant's: any byte of it may be another."""
    public, private = do(f"generate {kind}")
    for name, material in (("spki", public), ("pkcs8", private)):
        changed = bytearray(material)
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        with suppress(WorkerException):
            do(f"import {kind}", name, bytes(changed[: data.draw(st.integers(0, len(changed)))]))


def test_what_is_quick_exists() -> None:
    assert set(METHODS) >= QUICK
