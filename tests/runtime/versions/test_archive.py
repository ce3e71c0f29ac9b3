"""Uploads, as they should be and as attackers make them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.versions import archive
from pyworkerd.versions.archive import MANIFEST, SITE, UploadError, contents, id_of, pack, packed, unpack
from pyworkerd.versions.model import Listed, Manifest, SiteSettings
from pyworkerd_isolates.bundle import Bundle

SOURCE = b"print('hello')\n"


def made(*members: tarfile.TarInfo | tuple[str, bytes], manifest: object = {"main": "w.py"}) -> bytes:
    packed = io.BytesIO()
    files = [] if manifest is None else [(MANIFEST, json.dumps(manifest).encode())]
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        for each in [*files, *members]:
            if isinstance(each, tarfile.TarInfo):
                target.addfile(each, io.BytesIO(bytes(each.size)))
            else:
                member = tarfile.TarInfo(each[0])
                member.size = len(each[1])
                target.addfile(member, io.BytesIO(each[1]))
    return packed.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def opened(data: bytes) -> tuple[Bundle, Manifest]:
    return unpack(io.BytesIO(data))[:2]


NAMES = st.from_regex(r"[a-z]{1,8}\.(txt|js)", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=100), max_size=5), st.dictionaries(st.text(), st.text()))
def test_what_is_packed_comes_out_again(files: dict[str, bytes], variables: dict[str, str]) -> None:
    bundle = Bundle.of({**files, "w.py": SOURCE}, "w.py")
    packed = pack(bundle, "w.py", variables)
    assert packed == pack(bundle, "w.py", variables)
    found, manifest = opened(packed)
    assert (found, manifest) == (bundle, Manifest("w.py", variables))
    assert id_of(found, manifest) == id_of(bundle, Manifest("w.py", variables))


def test_an_id_is_of_files_main_and_vars() -> None:
    bundle = Bundle.of({"w.py": SOURCE, "v.py": SOURCE}, "w.py")
    other = Bundle.of({"w.py": SOURCE, "v.py": SOURCE + b"#"}, "w.py")
    ids = {
        id_of(bundle, Manifest("w.py")),
        id_of(bundle, Manifest("w.py", {"A": 1})),
        id_of(bundle, Manifest("w.py", {"A": "1"})),
        id_of(other, Manifest("w.py")),
        id_of(Bundle.of({"w.py": SOURCE, "v.py": SOURCE}, "v.py"), Manifest("v.py")),
    }
    assert len(ids) == 5
    assert id_of(bundle, Manifest("w.py", {"A": 1, "B": 2})) == id_of(
        bundle, Manifest("w.py", {"B": 2, "A": 1})
    )


def test_as_tar_packs_a_folder() -> None:
    folder = special("./lib", tarfile.DIRTYPE)
    found, _ = opened(made(folder, ("./w.py", SOURCE), ("./lib/x.py", b"")))
    assert sorted(found.files) == ["lib/x.py", "w.py"]


W = ("w.py", SOURCE)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no whole archive"),
        (b"PK\x03\x04", "no whole archive"),
        (gzip.compress(b"x" * 2000), "no whole archive"),
        (made(W)[:-30], "no whole archive"),
        (made(W)[:-1], "no whole archive"),
        (made(W)[:-8] + b"\0" * 8, "no whole archive"),
        (gzip.compress(gzip.decompress(made(W))[:1300]), "no whole archive"),
        (made(W, manifest=None), f"has no {MANIFEST}"),
        (made(W, manifest={}), "missing required field `main`"),
        (made(W, manifest={"main": "w.py", "bindings": {}}), "unknown field `bindings`"),
        (made(W, manifest={"main": "v.py"}), "is not among the worker's files"),
        (made(("w.txt", b""), manifest={"main": "w.txt"}), "cannot be imported"),
        (made(W, W), "there twice"),
        (made(W, ("./w.py", b"")), "there twice"),
        (made(W, ("/etc/passwd", b"")), "not a plain relative path"),
        (made(W, ("../w.py", b"")), "not a plain relative path"),
        (made(W, ("a/../../w.py", b"")), "not a plain relative path"),
        (made(W, ("a//b", b"")), "not a plain relative path"),
        (made(W, (".dev.vars", b"TOKEN=x")), "is hidden"),
        (made(W, ("a/.git/config", b"")), "is hidden"),
        (made(W, special("x", tarfile.SYMTYPE, "/etc/passwd")), "no plain file"),
        (made(W, special("x", tarfile.LNKTYPE, "w.py")), "no plain file"),
        (made(W, special("x", tarfile.FIFOTYPE)), "no plain file"),
        (made(W, special("x", tarfile.CHRTYPE)), "no plain file"),
        (made((MANIFEST, b"[" * (archive.MAX_MANIFEST + 1)), W, manifest=None), "larger than"),
        (made((MANIFEST, b"[" * 10_000), W, manifest=None), MANIFEST),
        (
            made((MANIFEST, b'{"main":"w.py","vars":{"A":%s}}' % (b"[" * 99 + b"]" * 99)), W, manifest=None),
            "nested",
        ),
        (made((MANIFEST, b'{"main":"w.py","vars":{"A":1e999}}'), W, manifest=None), "out of range"),
    ],
)
def test_what_is_no_worker(data: bytes, told: str) -> None:
    with pytest.raises(UploadError, match=told.replace(".", r"\.").replace("[", r"\[")):
        opened(data)


def zeros(megabytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo("zeros")
    member.size = megabytes << 20
    return member


def test_a_bomb_is_measured_by_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 8 << 20)
    bomb = made(W, zeros(9))
    assert len(bomb) < 100_000
    with pytest.raises(UploadError, match="more than a worker may have"):
        opened(bomb)


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ({}, "missing required field `files`"),
        ({"files": {"/a": "../../x"}}, "Expected `str` matching regex"),
        ({"files": {"/a": "A" * 64}}, "Expected `str` matching regex"),
        ({"files": {}, "settings": {"directory": "/"}}, "unknown field `directory`"),
        ({"files": {}, "settings": {"html_handling": "x"}}, "Invalid enum value"),
        ({"files": {}, "settings": {"binding": "a-b"}}, "Expected `str` matching regex"),
        ({"files": {}, "settings": {"binding": "__proto__"}}, "cannot be the name of a binding: reserved"),
        ({"files": {}, "settings": {"run_worker_first": ["/*"] * 101}}, "of length <= 100"),
        ({"files": {}, "settings": {"run_worker_first": ["*" * 101]}}, "of length <= 100"),
    ],
)
def test_what_is_no_site(site: object, told: str) -> None:
    with pytest.raises(UploadError, match=told):
        opened(made(W, (SITE, json.dumps(site).encode())))


def test_a_site_is_a_part_of_what_a_version_is() -> None:
    bundle, manifest = Bundle.of({"w.py": SOURCE}, "w.py"), Manifest("w.py")
    sites = [None, *(Listed({"/a": digit * 64}) for digit in "01"), Listed({}, SiteSettings("A"))]
    for site in sites:
        assert unpack(io.BytesIO(pack(bundle, "w.py", {}, site))) == (bundle, manifest, site)
    assert len({id_of(bundle, manifest, site) for site in sites}) == len(sites)


def test_contents_are_called_by_their_digests_alone() -> None:
    def found(*files: tuple[str, bytes]) -> list[tuple[str, bytes]]:
        return [*contents(io.BytesIO(packed(files)))]

    assert found((DIGEST, b"a"), ("f" * 64, b"")) == [(DIGEST, b"a"), ("f" * 64, b"")]
    for name in ("a", f"../{DIGEST}", DIGEST[1:], f"{DIGEST}0", "F" * 64, MANIFEST):
        with pytest.raises(UploadError, match="is no SHA-256"):
            found((name, b""))
    with pytest.raises(UploadError, match="no whole archive"):
        [*contents(io.BytesIO(packed([(DIGEST, b"a")])[:-20]))]


def test_contents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_CONTENT_FILES", 2)
    with pytest.raises(UploadError, match="more than 2 files"):
        [*contents(io.BytesIO(packed([(DIGEST, b"")] * 3)))]
    monkeypatch.setattr(archive, "MAX_CONTENTS", 1 << 20)
    with pytest.raises(UploadError, match=r"more than one upload of assets may .*: send several"):
        [*contents(io.BytesIO(packed([(DIGEST, bytes(2 << 20))])))]


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 10)
    with pytest.raises(UploadError, match="more than 10 files"):
        opened(made(W, *((f"{n}.txt", b"") for n in range(20))))


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_whatever_is_sent_it_is_a_worker_or_an_error(data: bytes, at: int) -> None:
    good = gzip.decompress(made(W))
    spoiled = gzip.compress(good[:at] + data + good[at + len(data) :])
    for each in (data, spoiled):
        try:
            opened(each)
        except UploadError:
            continue
