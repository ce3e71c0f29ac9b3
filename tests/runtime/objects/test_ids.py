"""Which ids a namespace has made."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from pyworkerd.objects.ids import is_valid, key_of

KEY = key_of("shop-Room")
HALF = b"0123456789abcdef"
ID = (HALF + hmac.digest(KEY, HALF, "sha256")[:16]).hex()


def test_the_key_is_the_hash_of_the_unique_key() -> None:
    assert hashlib.sha256(b"shop-Room").digest() == KEY


def test_an_id_is_valid_under_its_own_key_alone() -> None:
    assert is_valid(KEY, ID)
    assert not is_valid(key_of("shop-Other"), ID)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ID[:-2],
        ID + "00",
        ID.upper(),
        f" {ID[:-1]}",
        ID[:32] + ID[:32],
        ("0" if ID[0] != "0" else "1") + ID[1:],
        ID[:-1] + ("0" if ID[-1] != "0" else "1"),
        "zz" * 32,
        "\u0660" * 64,
        f"{ID[:4]} {ID[5:]}",
    ],
)
def test_what_is_forged_is_not(forged: str) -> None:
    assert not is_valid(KEY, forged)
