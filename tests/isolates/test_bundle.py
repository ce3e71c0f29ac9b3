"""What becomes part of a worker, and what it is known again by."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyworkerd_isolates.bundle import Bundle, Folder, Signature, is_secret
from pyworkerd_isolates.errors import BundleError

from tests.isolates.test_image import WORKER


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "worker"
    (folder / "package").mkdir(parents=True)
    (folder / "main.py").write_text(WORKER)
    (folder / "package" / "data.txt").write_text("data")
    return folder


def names(root, **options):
    return set(Bundle.read(root / "main.py", **options).files)


PLAIN = {"main.py", "package/data.txt"}


def test_a_worker_is_its_main_file_and_what_lies_beside_it(root):
    bundle = Bundle.read(root / "main.py")
    assert bundle.main == "main"
    assert bundle.files == {"main.py": WORKER.encode(), "package/data.txt": b"data"}


def test_main_may_lie_deeper_and_be_a_package(root):
    (root / "package" / "__init__.py").write_text(WORKER)
    (root / "package" / "inner.py").write_text(WORKER)
    assert Bundle.read(root / "package" / "inner.py", root).main == "package.inner"
    assert Bundle.read(root / "package" / "__init__.py", root).main == "package"
    assert Bundle.of({"package/__init__.py": WORKER}).main == "package"


KEY = b"-----BEGIN %s-----\nMC4CAQ\n-----END %s-----\n"


@pytest.mark.parametrize(
    "label",
    [
        b"PRIVATE KEY",
        b"EC PRIVATE KEY",
        b"ENCRYPTED PRIVATE KEY",
        b"OPENSSH PRIVATE KEY",
        b"PGP PRIVATE KEY BLOCK",
    ],
)
def test_what_looks_like_a_private_key_stays_out_and_is_told(root, caplog, label):
    (root / "package" / "tls.crt").write_bytes(b"chain first\r\n" + KEY % (label, label))
    bundle = Bundle.read(root / "main.py")
    assert set(bundle.files) == PLAIN
    assert bundle.secrets == ("package/tls.crt",)
    assert "'package/tls.crt'" in caplog.text


@pytest.mark.parametrize(
    "data",
    [b"PuTTY-User-Key-File-3: ssh-ed25519\n", b"\xef\xbb\xbf" + KEY % (b"PRIVATE KEY", b"PRIVATE KEY")],
)
def test_so_does_one_that_another_system_wrote(root, data):
    (root / "key").write_bytes(data)
    assert Bundle.read(root / "main.py").secrets == ("key",)


ESCAPED = (
    (KEY % (b"PRIVATE KEY", b"PRIVATE KEY"))
    .replace(b"MC4CAQ", b"MC4CAQAwBQYDK2VwBCIEIA")
    .replace(b"\n", b"\\n")
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("account.json", b'{"type": "service_account", "private_key": "%s"}' % ESCAPED),
        ("account.yaml", b'key: "%s"' % ESCAPED),
        ("rsa.json", b'{"key": "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\n"}'),
        ("staging.env", b"TOKEN=hunter2"),
        ("Staging.ENV", b""),
        ("server.p12", b"\x30\x82"),
        ("key.json", b'{"kty": "EC", "crv": "P-256", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}'),
        ("keys.json", b'{"keys":[{"k":"FdFYFzERwC2uCBB46pZQi4GG85LujR8obt-KWRBICVQ","kty":"oct"}]}'),
    ],
)
def test_what_holds_a_secret_in_another_way_stays_out(root, name, data):
    (root / name).write_bytes(data)
    bundle = Bundle.read(root / "main.py")
    assert (set(bundle.files), bundle.secrets) == (PLAIN, (name,))


def test_a_file_is_not_looked_at_for_ever(monkeypatch):
    """A version of one file of 64 MiB had a process take 7 GB and stand still for twenty seconds."""
    key = KEY % (b"PRIVATE KEY", b"PRIVATE KEY")
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_LOOKS", 3)
    name = b"PRIVATE KEY".ljust(300) + b"\n"
    assert is_secret("a.txt", name * 2 + key)
    assert not is_secret("a.txt", name * 3 + key)
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_JSON", 100)
    web = b'{"kty": "EC", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}'
    assert is_secret("a.json", web.ljust(100))
    assert not is_secret("a.json", web.ljust(101))
    begun = b"x-----BEGIN PRIVATE KEY-----"
    assert is_secret("a.txt", begun + b"\n" * 64 + b"A" * 16)
    assert not is_secret("a.txt", begun + b"\n" * 65 + b"A" * 16)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [('{\n "format": 1,\n "created": 1.0,\n "stores": {}}', True), ('{"format": "tar"}', False)],
)
def test_backups_of_what_is_stored_stay_out(root, text, is_one):
    before = Folder(root / "main.py", root).signature()
    (root / "saved" / "versions").mkdir(parents=True)
    (root / "saved" / "backup.json").write_text(text)
    (root / "saved" / "versions" / "secrets.json").write_text("hunter2")
    own = {"saved/backup.json", "saved/versions/secrets.json"}
    assert names(root) == (PLAIN if is_one else {*PLAIN, *own})
    assert (Folder(root / "main.py", root).signature() == before) is is_one


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cert.pem", KEY % (b"CERTIFICATE", b"CERTIFICATE")),
        ("public.pem", KEY % (b"PUBLIC KEY", b"PUBLIC KEY")),
        ("parser.py", b'"""\n' + KEY % (b"PRIVATE KEY", b"PRIVATE KEY") + b'"""'),
        ("notes.md", b"Keys begin with -----BEGIN PRIVATE KEY-----."),
        ("words.json", b'{"begin": "-----BEGIN PRIVATE KEY-----\\n", "end": "-----END PRIVATE KEY-----"}'),
        ("jwks.json", b'{"keys": [{"kty": "EC", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}]}'),
        ("data.json", b'{"d": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}'),
        ("environment.json", b"{}"),
    ],
)
def test_what_only_speaks_of_keys_stays_in(root, caplog, name, data):
    (root / name).write_bytes(data)
    assert names(root) == {*PLAIN, name}
    assert caplog.text == ""


@pytest.mark.parametrize(
    "name",
    [
        ".dev.vars",
        ".env",
        ".git/config",
        "package/.secret",
        ".hidden/x.py",
        "x.pyc",
        "__pycache__/x.py",
        "node_modules/x.js",
        "app.pyworkerd",
    ],
)
def test_what_is_hidden_or_made_by_tools_stays_out(root, name):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("TOKEN=hunter2")
    assert names(root) == PLAIN


def test_what_is_excluded_stays_out(root):
    (root / "config.toml").write_text("x")
    assert names(root, exclude=frozenset({root / "config.toml"})) == PLAIN


def test_an_excluded_folder_is_entered_by_no_way(root):
    other = root / "other"
    other.mkdir()
    (other / "program.py").write_text("SECRET = 1")
    (root / "link.py").symlink_to(other / "program.py")
    (root / "copy").symlink_to(other)
    assert names(root, exclude=frozenset({other})) == PLAIN


def test_links_out_of_the_root_are_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    assert names(root) == PLAIN


def test_links_within_the_root_are_followed_to_what_it_shows_anyway(root):
    (root / ".dev.vars").write_text("TOKEN=hunter2")
    (root / "vars.txt").symlink_to(".dev.vars")
    (root / "data.txt").symlink_to("package/data.txt")
    (root / "again").symlink_to("package")
    assert names(root) == PLAIN | {"data.txt"}


def test_what_is_no_file_is_left_out(root):
    os.mkfifo(root / "fifo")
    assert names(root) == PLAIN


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ("absent.py", "not a file that ends in"),
        ("package", "not a file that ends in"),
        ("package/data.txt", "not a file that ends in"),
        ("shop.v2.py", "dot in its name"),
    ],
)
def test_a_main_that_cannot_be_imported(root, main, message):
    (root / "shop.v2.py").write_text(WORKER)
    with pytest.raises(BundleError, match=message):
        Bundle.read(root / main, root)


def test_a_main_outside_of_the_root(root):
    with pytest.raises(BundleError, match="does not lie below"):
        Bundle.read(root / "main.py", root / "package")


def test_a_name_that_is_no_utf_8(root):
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff.txt"))).write_text("x")
    with pytest.raises(BundleError, match="UTF-8"):
        Bundle.read(root / "main.py")


def test_a_file_that_cannot_be_read(root, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BundleError, match=r"cannot be read: Permission denied"):
        Bundle.read(root / "main.py")


@pytest.mark.parametrize(
    "name", ["/a.py", "../a.py", "a/../b.py", "a//b.py", "./a.py", "a/./b", "", "a\0b", "\ud800"]
)
def test_paths_that_are_not_plain(name):
    with pytest.raises(BundleError):
        Bundle("worker", {"worker.py": b"", name: b""})


@pytest.mark.parametrize("name", [".dev.vars", "a/.env", ".git/config"])
def test_hidden_files_are_refused_whoever_hands_them_in(name):
    with pytest.raises(BundleError, match="secrets"):
        Bundle.of({"worker.py": WORKER, name: "TOKEN=hunter2"})


def test_a_bundle_needs_its_main():
    with pytest.raises(BundleError, match="has no"):
        Bundle.of({"data.txt": ""})
    with pytest.raises(BundleError, match="not among"):
        Bundle.of({"worker.py": ""}, main="other.py")


def test_bundles_are_bounded(root, monkeypatch):
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_FILES", 3)
    Bundle.of({"worker.py": "", "a": "", "b": ""})
    with pytest.raises(BundleError, match="4 files"):
        Bundle.of({"worker.py": "", "a": "", "b": "", "c": ""})
    (root / "a").touch()
    (root / "b").touch()
    with pytest.raises(BundleError, match="folder of its own"):
        Bundle.read(root / "main.py")
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_FILES", 100)
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_BUNDLE_BYTES", 10)
    with pytest.raises(BundleError, match="11 bytes"):
        Bundle.of({"worker.py": "x" * 11})
    with pytest.raises(BundleError, match="folder of its own"):
        Bundle.read(root / "main.py")


def test_the_digest_tells_every_difference():
    files = {"a.py": "1", "b.py": "2"}
    variants = [
        Bundle.of(files, "a.py"),
        Bundle.of(files, "b.py"),
        Bundle.of({**files, "c": ""}, "a.py"),
        Bundle.of({"a.py": "12", "b.py": ""}, "a.py"),
        Bundle.of({"a.py": "2", "b.py": "1"}, "a.py"),
    ]
    assert len({bundle.digest() for bundle in variants}) == len(variants)
    assert Bundle.of(dict(reversed(files.items())), "a.py").digest() == variants[0].digest()


# signatures -----------------------------------------------------------------------------------------------------------


def seen(root: Path, **options) -> Signature:
    return Folder(root / "main.py", root, **options).signature()


def test_an_unchanged_folder_has_the_same_signature(root):
    first = seen(root)
    assert seen(root) == first
    (root / "main.py").read_bytes()
    assert seen(root) == first
    newest = max((root / name).stat().st_ctime_ns for name in PLAIN)
    assert first.changed_ns == newest


def test_what_is_no_part_of_the_bundle_is_no_part_of_its_signature(root):
    first = seen(root, exclude=frozenset({root / "config.toml"}))
    (root / "config.toml").write_text("x")
    (root / ".dev.vars").write_text("x")
    (root / "main.pyc").write_text("x")
    assert seen(root, exclude=frozenset({root / "config.toml"})) == first
    assert seen(root) != first


def change_in_place(path: Path) -> None:
    """The same size, and times as they were: only ctime tells."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    while (
        path.stat().st_ctime_ns == before.st_ctime_ns
    ):  # the clock of the file system ticks every few milliseconds
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "content, with size and time as they were": lambda root: change_in_place(root / "package/data.txt"),
    "size": lambda root: (root / "package/data.txt").write_text("longer data"),
    "another file in its place": lambda root: (root / "package/new").replace(root / "package/data.txt"),
    "a new file": lambda root: (root / "package/new.py").touch(),
    "one file less": lambda root: (root / "package/data.txt").unlink(),
    "another name": lambda root: (root / "package/data.txt").rename(root / "package/other.txt"),
    "a link to elsewhere": lambda root: (root / "package/link").symlink_to("../main.py"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_shows(root, change):
    (root / "package/new").write_text("data")
    first = seen(root)
    if change is not CHANGES["another file in its place"]:
        (root / "package/new").unlink()
        assert seen(root) != first
        first = seen(root)
    change(root)
    assert seen(root) != first


def test_a_folder_is_read_as_a_bundle(root):
    assert Folder(root / "main.py", root).read() == Bundle.read(root / "main.py")
    assert Folder(root / "main.py", root, frozenset({root / "package/data.txt"})).read().files.keys() == {
        "main.py"
    }


def test_what_cannot_be_read_has_no_signature(root, monkeypatch):
    with pytest.raises(BundleError, match="not a file that ends in"):
        Folder(root / "absent.py", root).signature()
    monkeypatch.setattr("pyworkerd_isolates.bundle.MAX_FILES", 1)
    with pytest.raises(BundleError, match="folder of its own"):
        seen(root)


def test_a_folder_of_which_something_else_is_left_out_is_not_known_again(root, monkeypatch):
    folder = Folder(root / "main.py", root)
    before = folder.signature()
    assert folder.signature() == before
    monkeypatch.setattr("pyworkerd_isolates.bundle.RULES", b"another")
    assert folder.signature().digest != before.digest
