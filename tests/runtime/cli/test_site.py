"""Which files `deploy` takes along as static assets. That a server has them then, `admin/test_assets` tests."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli import site as uploading
from pyworkerd.cli.site import listed, read_site
from pyworkerd.errors import ConfigurationError
from pyworkerd_config.model import Assets

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "index.html": b"<h1>x</h1>",
    "a/b.txt": b"b",
    "_headers": b"/*\n  X: y\n",
    "_redirects": b"/old /new\n",
    ".well-known/x": b"x",
}
LEFT_OUT = {".env": b"TOKEN=x", "a/.git/config": b"x", "state/x.sqlite3": b"x", "config.toml": b"x"}
KEY = b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"


def public(folder: Path, **more: bytes) -> Path:
    for name, data in {**FILES, **LEFT_OUT, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_it_takes_what_is_served(tmp_path: Path) -> None:
    folder = public(tmp_path, **{"key.pem": KEY})
    (folder / "link").symlink_to(folder / "index.html")
    exclude = frozenset((folder.resolve(), *(folder.resolve() / name for name in ("state", "config.toml"))))
    site = read_site(Assets(folder, "FILES"), exclude)
    assert site.digests == {f"/{name}": sha256(data).hexdigest() for name, data in FILES.items()}
    assert site.secrets == ["key.pem"]
    said = listed(site, Assets(folder, "FILES", "none", "404-page", ("/api/*",)))
    assert (said.files, said.settings.run_worker_first) == (site.digests, ("/api/*",))
    assert (said.settings.binding, said.settings.html_handling) == ("FILES", "none")


def test_what_a_server_would_not_take_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Assets(public(tmp_path))
    monkeypatch.setattr(uploading, "MAX_ASSETS", 3)
    with pytest.raises(ConfigurationError, match=r"holds more than the assets .* \(3 files"):
        read_site(model, frozenset())
    monkeypatch.setattr(uploading, "MAX_ASSET", 5)
    with pytest.raises(ConfigurationError, match="has 10 bytes: an asset has 5 at most"):
        read_site(model, frozenset())


def test_what_is_sent_goes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = read_site(Assets(public(tmp_path)), frozenset())
    paths = {digest: path for path, digest in site.digests.items()}
    monkeypatch.setattr(uploading, "MAX_FILES_SENT", 4)
    monkeypatch.setattr(uploading, "MAX_SENT", 12)
    batches = [*uploading._batches(site, paths)]
    assert {name: data for batch in batches for name, data in batch} == {
        digest: (tmp_path / path[1:]).read_bytes() for digest, path in paths.items()
    }
    assert all(len(batch) == 1 or sum(len(data) for _, data in batch) <= 12 for batch in batches)
    assert 1 < len(batches) < len(paths)
    (tmp_path / "index.html").write_bytes(b"changed")
    with pytest.raises(ConfigurationError, match=r"/index\.html has changed while it was uploaded"):
        [*uploading._batches(site, paths)]
