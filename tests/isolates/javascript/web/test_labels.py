"""Labels of encodings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORT = 'import { encodingOf } from "pyworkerd:web/labels";'


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("utf-8", "utf-8"),
        ("\tUTF8 ", "utf-8"),
        ("Latin1", "windows-1252"),
        ("iso-8859-1", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("iso_8859-1:1987", "windows-1252"),
        ("iso-8859-16", "iso-8859-16"),
        ("logical", "iso-8859-8-i"),
        ("gb18030", "gb18030"),
        ("x-user-defined", "x-user-defined"),
        ("", None),
        ("\u00a0utf-8", None),
        ("replacement", None),
        ("hz-gb-2312", None),
        ("__proto__", None),
    ],
)
def test_labels(run: Callable[..., Any], label: str, name: str | None) -> None:
    assert run("return encodingOf(label) ?? null;", IMPORT, label=label) == name


def test_each_label_has_a_decoder(run: Callable[..., Any]) -> None:
    names = run(
        """
        const names = "ibm866 iso-8859-2 iso-8859-8-i koi8-u macintosh windows-874 windows-1258 x-mac-cyrillic gbk " +
          "gb18030 big5 euc-jp iso-2022-jp shift_jis euc-kr utf-16be utf-16le x-user-defined windows-1252";
        return names.split(" ").filter((name) => {
          const decoder = new TextDecoder(name.toUpperCase());
          return decoder.encoding !== name || decoder.decode(Uint8Array.of(65, 0)).charCodeAt(0) % 256 > 65;
        });
        """
    )
    assert names == []
