"""Tables of the Encoding Standard's legacy encodings, made of Python's own codecs.

They are constants of the engine: one copy for all isolates, and none in a heap before a program asks for a decoder
(`guest/web/legacy_encoding.js`). Where Python and the standard disagree, the standard's characters are listed here.

Source: https://encoding.spec.whatwg.org/#indexes. A table has two bytes for each pointer, little-endian, and 0 where
the standard has nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SINGLE: Final[Mapping[str, str]] = {
    "ibm866": "cp866",
    **{f"iso-8859-{part}": f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "macintosh": "mac_roman",
    "windows-874": "cp874",
    **{f"windows-125{last}": f"cp125{last}" for last in range(9) if last != 2},
    "x-mac-cyrillic": "mac_cyrillic",
}
"""Encodings of one byte for a character, and Python's names. (windows-1252 is a part of `encoding.js`.)"""
_SINGLE_TOO: Final[Mapping[str, Mapping[int, int]]] = {
    "koi8-u": {0xAE: 0x45E, 0xBE: 0x40E},
    "windows-1255": {0xCA: 0x5BA},
}
_GB18030_2022: Final[Mapping[int, int]] = {
    6555: 0x3000,
    **dict(
        zip(
            (7182, 7183, 7184, 7185, 7186, 7187, 7188, 7201, 7202, 7208),
            (0xFE10, 0xFE12, 0xFE11, 0xFE13, 0xFE14, 0xFE15, 0xFE16, 0xFE17, 0xFE18, 0xFE19),
            strict=True,
        )
    ),
    7533: 0x1E3F,
    **dict(zip((23775, 23783, 23788, 23789, 23795, 23812, 23829, 23845), range(0x9FB4, 0x9FBC), strict=True)),
}
"""What Python, which has the edition of 2000, gives as private characters."""
_BIG5_TOO: Final = """\
1000: 3875 21d53 2369e 26021 3eec 258de 3af5 7afc 9f97 24161 2890d 231ea 20a8a 2325e 430a 8484 9f96 942f
4930 8613 5896 974a 9218 79d0 7a32 6660 6a29 889d 744c 7bc5 6782 7a2c 524f 9046 34e6 73c4 25db9 74c6 9fc7
57b3 492f 544c 4131 2368e 5818 7a72 27b65 8b8f 46ae 26e88 4181 25d99 7bae 224bc 9fc8 224c1 224c9 224cc 9fc9
8504 235bb 40b4 9fca 44e1 2adff 62c1 706e 9fcb 2082: 7bb8 2088: 7c06 2103: 7cce 2114: 7dd2 2123: 7e1d
2148: 8005 2151: 8028 2221: 83c1 2239: 84a8 2244: 840f 2303: 89a6 89a9 2354: 8d77 2400: 90fd 2413: 92b9
2477: 975c 2498: 97ff 2605: 9f16 2673: 8503 2746: 5159 515b 515d 515e 2771: 936e 2780: 7479 2990: 6d67
3087: 799b 3259: 9097 3301: 975d 3436: 701e 3451: 5b28 4136: 7201 4138: 77d7 4141: 7e87 4182: 99d6
4206: 91d4 4220: 60de 4230: 6fb6 4241: 8f36 4258: 4fbb 4273: 71df 4279: 9104 4282: 9df0 4294: 83cf
4329: 5c10 79e3 4349: 5a67 4419: 8f0b 4422: 7b51 4494: 62d0 4624: 6062 4694: 75f9 4708: 6c4a 4742: 9b2e
4748: 9f17 4815: 50ed 4828: 5f0c 4902: 880f 4922: 62ce 4982: 7468 4992: 7162 4997: 7250 5029: 2027
5038: fe51 5120: af 5153: ff5e 5168: 2295 2299 5182: 2215 fe68 5185: ffe5 5187: ffe0 ffe1 5432: 2400 2401
2402 2403 2404 2405 2406 2407 2408 2409 240a 240b 240c 240d 240e 240f 2410 2411 2412 2413 2414 2415 2416
2417 2418 2419 241a 241b 241c 241d 241e 241f 2421 20ac 10942: 5ef4 10946: 65e0 10948: 7676 10950: 96b6
10957: 3003 4edd 19028: 5029 19035: 507d 19088: 5305 19096: 5344 19112: 537f 19162: 5605 19240: 5a77
19299: 5e75 19305: 5ed0 19326: 5f58 19355: 60a4 19398: 6490 19439: 6674 19454: 675e 19553: 6c9c 6e1d
19557: 6e2f 19611: 716e 19643: 732a 19672: 745c 19697: 74e9 19748: 7809
"""
"""A pointer and the characters from there on: HKSCS of 2008, and what Big5 had before it."""
_LINEAR: Final = 39_420
"""Four bytes of gb18030 that stand for characters of the first plane."""


class Tables(NamedTuple):
    """All of them, one behind the other."""

    data: bytes
    places: Mapping[str, tuple[int, int]]
    """Where each begins, and its size in bytes."""


def make_tables() -> Tables:
    """The same bytes on each supported Python."""
    parts: dict[str, bytes] = {name: _pack(_single(name)) for name in _SINGLE}
    big5 = _big5()
    parts |= {
        "big5": _pack([code & 0xFFFF for code in big5]),
        "big5-plane-2": _bits([code > 0xFFFF for code in big5]),
        "euc-kr": _pack([_char(bytes((p // 190 + 0x81, p % 190 + 0x41)), "cp949") for p in range(23_940)]),
        "gb18030": _pack(_gb18030()),
        "gb18030-ranges": _pack([part for pair in _gb18030_ranges() for part in pair]),
        "jis0208": _pack([_jis0208(pointer) for pointer in range(11_280)]),
        "jis0212": _pack([_jis0212(pointer) for pointer in range(8_836)]),
    }
    places: dict[str, tuple[int, int]] = {}
    at = 0
    for name, part in parts.items():
        places[name] = (at, len(part))
        at += len(part)
    return Tables(b"".join(parts.values()), places)


def _char(data: bytes, codec: str) -> int:
    """The character that these bytes are, 0 if they are none or several."""
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return 0
    return ord(text) if len(text) == 1 else 0


def _single(name: str) -> Iterator[int]:
    too = _SINGLE_TOO.get(name, {})
    for byte in range(0x80, 0x100):
        # What Windows leaves out of its code pages, up to 0x9F, is a control character for the standard.
        control = byte if name.startswith("windows-") and byte < 0xA0 else 0
        yield too.get(byte) or _char(bytes((byte,)), _SINGLE[name]) or control


def _big5() -> list[int]:
    codes = [_char(bytes((p // 157 + 0x81, _trail(p % 157, 0x62))), "big5hkscs") for p in range(19_782)]
    at = 0
    for word in _BIG5_TOO.split():
        if word.endswith(":"):
            at = int(word[:-1])
        else:
            codes[at] = int(word, 16)
            at += 1
    return codes


def _gb18030() -> list[int]:
    codes = [_char(bytes((p // 190 + 0x81, _trail(p % 190, 0x41))), "gb18030") for p in range(23_940)]
    for pointer, code in _GB18030_2022.items():
        codes[pointer] = code
    return codes


def _gb18030_ranges() -> Iterator[tuple[int, int]]:
    """Where in the four bytes' order a run of characters begins, and its first character."""
    previous = 0
    for pointer in range(_LINEAR):
        first, rest = divmod(pointer, 12_600)
        second, rest = divmod(rest, 1_260)
        third, fourth = divmod(rest, 10)
        code = _char(bytes((0x81 + first, 0x30 + second, 0x81 + third, 0x30 + fourth)), "gb18030")
        if code != previous + 1 or pointer == 0:
            yield pointer, code
        previous = code


def _jis0208(pointer: int) -> int:
    """By Shift_JIS, whose private characters the standard has elsewhere."""
    if 8836 <= pointer <= 10_715:
        return 0
    lead = pointer // 188 + (0x81 if pointer // 188 < 0x1F else 0xC1)
    return _char(bytes((lead, _trail(pointer % 188, 0x41))), "cp932")


def _jis0212(pointer: int) -> int:
    if pointer == 116:
        return 0xFF5E
    return _char(bytes((0x8F, pointer // 94 + 0xA1, pointer % 94 + 0xA1)), "euc_jp")


def _trail(place: int, upper: int) -> int:
    """The second byte: what follows 0x7E is added to `upper`."""
    return place + (0x40 if place < 0x3F else upper)


def _pack(codes: Sequence[int] | Iterator[int]) -> bytes:
    units = list(codes)
    return struct.pack(f"<{len(units)}H", *units)


def _bits(flags: Sequence[bool]) -> bytes:
    """Bit `i & 7` of byte `i >> 3` for each."""
    return sum(1 << place for place, flag in enumerate(flags) if flag).to_bytes(len(flags) // 8 + 1, "little")
