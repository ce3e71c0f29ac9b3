"""Workers that share a folder do not share their programs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.cli.site import read_site
from pyworkerd.foreign import Foreign
from pyworkerd_config import load
from pyworkerd_config.model import Certificate, Config, Disk, Https, Place, Service, Socket, Worker
from pyworkerd_isolates.bundle import Folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from pyworkerd.runtime import Runtime

LOOK = """
import os
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        found = [os.path.relpath(os.path.join(at, name)) for at, _, names in os.walk(".") for name in names]
        return Response.json(sorted(found))
"""
CONFIG = """
services = [
  { name = "a", worker = { main = "a.py" } },
  { name = "same", worker = { main = "a.py" } },
  { name = "b", worker = { main = "b.py" } },
  { name = "below", worker = { main = "below/main.py" } },
  { name = "deep", worker = { main = "below/deep/main.py" } },
]
"""


def test_workers_do_not_find_each_others_programs(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "below" / "deep").mkdir(parents=True)
    for name in ("a.py", "b.py", "below/main.py", "below/deep/main.py"):
        (tmp_path / name).write_text(LOOK)
    for name in ("shared.txt", "below/own.txt", "below/deep/own.txt"):
        (tmp_path / name).write_text("data")
    (tmp_path / "config.toml").write_text(CONFIG)

    async def main(runtime: Runtime) -> None:
        for name, files in {
            "a": ["a.py", "shared.txt"],
            "same": ["a.py", "shared.txt"],
            "b": ["b.py", "shared.txt"],
            "below": ["main.py", "own.txt"],
            "deep": ["main.py", "own.txt"],
        }.items():
            assert await (await runtime.worker(name).fetch("/")).json() == files, name

    with_runtime(main, load(tmp_path / "config.toml"))


PROJECT = """
services = [
  { name = "one", worker = { main = "src/one.ts", root = "." } },
  { name = "two", worker = { main = "src/two.ts" } },
  { name = "three", worker = { main = "lib/../src/three.ts", root = "lib/.." } },
]
"""


def test_workers_of_one_project_share_its_packages_and_not_their_programs(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    for folder in ("src", "lib", "node_modules/shared"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "node_modules/shared/index.js").write_text("export default 'from the package';")
    (tmp_path / "src/help.ts").write_text("export const help: string = 'help';")
    for name in ("one", "two", "three"):
        ways = ("shared", "./help", *(f"./{each}" for each in ("one", "two", "three") if each != name))
        tries = "".join(f"await import('{way}').then(() => found.push('{way}'), () => {{}});" for way in ways)
        source = f"export default {{ async fetch(): Promise<Response> {{ const found: string[] = []; {tries}"
        (tmp_path / f"src/{name}.ts").write_text(source + "return Response.json(found); } };")
    (tmp_path / "config.toml").write_text(PROJECT)

    async def main(runtime: Runtime) -> None:
        for name, found in {
            "one": ["shared", "./help"],
            "two": ["./help"],
            "three": ["shared", "./help"],
        }.items():
            assert await (await runtime.worker(name).fetch("/")).json() == found, name

    with_runtime(main, load(tmp_path / "config.toml"))


def test_a_root_above_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "b").mkdir(parents=True)
    for name in ("a.py", "b.py", "b/c.py"):
        (tmp_path / "here" / name).write_text("")
    (tmp_path / "shared.txt").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    wide = Worker(Path("a.py"), Path(".."))
    others = [Worker(Path("b.py"), Path()), Worker(Path("b/c.py"), Path("b"))]
    config = Config(services=tuple(Service(str(each.main), each) for each in (wide, *others)))
    bundle = Folder(wide.main, wide.root, Foreign(config).to(wide)).read()
    assert set(bundle.files) == {"here/a.py", "shared.txt"}


def test_keys_of_tls_are_no_workers(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "link.pem").symlink_to("tls/key.pem")
    for name in ("tls/key.pem", "tls/cert.pem", "a.py"):
        (tmp_path / name).write_text("")
    worker = Worker(tmp_path / "a.py", tmp_path)
    certificate = Certificate(tmp_path / "tls" / "cert.pem", tmp_path / "link.pem")
    config = Config(
        services=(Service("a", worker),),
        sockets=(Socket("tls", "*:443", https=Https((certificate,))), Socket("plain", "*:80")),
    )
    bundle = Folder(worker.main, worker.root, Foreign(config).to(worker)).read()
    assert set(bundle.files) == {"a.py", "tls/cert.pem"}


def test_a_folder_that_only_begins_alike_is_no_neighbour() -> None:
    def worker(main: str) -> Worker:
        return Worker(Path(main), Path(main).parent)

    one, two = worker("/x/shop/main.py"), worker("/x/shop-2/main.py")
    foreign = Foreign(Config(services=(Service("one", one), Service("two", two))))
    assert foreign.to(one) == foreign.to(two) == frozenset()


def test_what_is_configured_stays_foreign_where_something_else_was_deployed(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    for name in ("a.py", "b.py", "below/main.py", "below/deep/main.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    config = load(tmp_path / "config.toml")
    a, *others = config.services
    assert isinstance(a.kind, Worker)
    files = tmp_path / ".pyworkerd" / "versions" / "a"
    deployed = replace(a, kind=replace(a.kind, main=files / "w.py", root=files), configured=a.kind)
    after = replace(config, services=(deployed, *others))
    for worker in [service.kind for service in others if isinstance(service.kind, Worker)]:
        assert Foreign(after).to(worker) >= Foreign(config).to(worker)


def test_what_the_server_writes_and_its_configuration_are_no_workers(tmp_path: Path) -> None:
    for name in ("w/a.py", "w/state/kv", "w/uploads/file", "w/public/page", "w/other.toml", "w/config.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    root = tmp_path / "w"
    worker = Worker(root / "a.py", root)
    config = Config(
        services=(
            Service("a", worker, place=Place(root / "config.toml")),
            Service("elsewhere", Worker(tmp_path / "b.py", tmp_path / "b"), place=Place(root / "other.toml")),
            Service("uploads", Disk(root / "uploads", writable=True)),
            Service("public", Disk(root / "public")),
            Service("all", Disk(root, writable=True)),
        ),
        state_dir=root / "state",
    )
    bundle = Foreign(config).folder(worker, config.services[0].place).read()
    assert set(bundle.files) == {"a.py", "public/page"}


def test_a_site_has_what_is_no_others_wherever_it_lies(tmp_path: Path) -> None:
    """Most often beside the worker's own folder, and not below it: what is uploaded of it is for everybody to read."""
    for name in ("src/w.py", "other/o.py", "disk/x", "index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "config.toml").write_text(
        '[[services]]\nname = "w"\nworker = { main = "src/w.py", assets = { directory = "." } }\n'
        '[[services]]\nname = "o"\nworker = { main = "other/o.py" }\n'
        '[[services]]\nname = "d"\ndisk = { path = "disk", writable = true }\n'
    )
    config = load(tmp_path / "config.toml")
    worker = config.services[0].kind
    assert isinstance(worker, Worker)
    assert worker.assets is not None
    site = read_site(worker.assets, Foreign(config).to_site(worker, worker.assets.directory))
    assert site.digests.keys() == {"/index.html", "/src/w.py"}


def test_what_a_server_says_is_no_workers_file(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(LOOK)
    (tmp_path / "notes.log").write_text("data")
    program = """
import os
from pathlib import Path
from pyworkerd.foreign import Foreign
from pyworkerd_config.model import Config, Place, Service, Worker
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # as in a serving process, which says things by the supervisor
worker = Worker(Path("w.py"), Path())
found = Foreign(Config(services=(Service("w", worker),))).folder(worker, Place()).read()
os.write(2, str(sorted(found.files)).encode())
"""
    with (tmp_path / "server.log").open("w") as output, (tmp_path / "errors.log").open("w") as errors:
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, stdout=output, stderr=errors, check=True
        )
    assert (tmp_path / "errors.log").read_text() == "['notes.log', 'w.py']"
