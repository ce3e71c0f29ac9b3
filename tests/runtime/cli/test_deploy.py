"""`pyworkerd deploy`, `versions`, `rollback` and `secret`, over TCP with a token, against a real server."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from pyworkerd.admin.tokens import VARIABLE
from pyworkerd.cli.remote import TOKEN_VARIABLE

from tests.runtime.cli.command import ask, project, run, serve
from tests.runtime.supervisor.supervised import Supervised

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "shop"

[[services]]
name = "shop"
[services.worker]
main = "w.py"
bindings = { NAME = { text = "NAME" } }
"""
WRANGLER = """
name = "shop"
main = "w.py"
vars = { NAME = "wrangler", LIMITS = { most = 3 } }
assets = { directory = "public" }
"""
SAYS = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{self.env.NAME} {getattr(self.env, 'TOKEN', '-')} {getattr(self.env, 'LIMITS', '-')}")
"""
TOKEN = "a-token-that-nobody-guesses"


def test_somebody_elses_machine(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    config = project(there, CONFIG, w=SAYS)
    (here / "w.py").write_text(SAYS)
    (here / "wrangler.toml").write_text(WRANGLER)
    (here / "public").mkdir()
    (here / "public" / "a.txt").write_text("asset")
    (here / ".dev.vars").write_text("LEAK=hunter2\n")
    (here / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nhunter3\n-----END PRIVATE KEY-----\n")
    with serve(config, "--admin=127.0.0.1:0", **{VARIABLE: TOKEN}) as served:
        served.__class__ = Supervised
        assert isinstance(served, Supervised)
        http = served.complete()
        admin = next(line for line in served.errors.seen if "admin: " in line).rpartition("/")[2]
        given = {TOKEN_VARIABLE: TOKEN}
        wrong = run("deploy", here / "wrangler.toml", "--to", admin, **{TOKEN_VARIABLE: "wrong"})
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "the token is wrong, or has ended" in wrong.stderr
        assert ask(http).body == "NAME - -"

        deployed = run(
            "deploy", here / "wrangler.toml", "--to", admin, "-m", "first\x1b[31m", "--json", **given
        )
        assert deployed.returncode == 0, deployed.stderr
        assert json.loads(deployed.stdout)["left_out"] == ["key.pem"]
        assert deployed.stderr.count("left out, since they look like secrets: 'key.pem'") == 1
        first = json.loads(deployed.stdout)["version"]
        assert (first["files"], first["by"], first["main"]) == (1, "environment", "w.py")
        assert ask(http).body == "wrangler - {'most': 3}"
        assert ask(http, "/a.txt").body == "asset"
        same = run("deploy", here / "wrangler.toml", "--to", admin, **given).stdout
        assert f"shop: version {first['id']}, 1 files, 1 assets (0 new)" in same

        again = run("deploy", config, "--service", "shop", "--to", admin, "--percent", "25", **given)
        assert "75% " in again.stdout, again.stderr
        second = again.stdout.split()[2].rstrip(",")
        listed = run("versions", "list", "--service", "shop", "--to", admin, **given).stdout
        assert f"shop: {first['id']}@75% {second}@25%" in listed
        assert "\x1b" not in listed
        shares = f"{second}@100%"
        assert run("versions", "deploy", shares, "--service", "shop", "--to", admin, **given).returncode == 0
        assert ask(http).body == "NAME - -"
        back = run("rollback", "--service", "shop", "--to", admin, "--json", **given)
        assert json.loads(back.stdout)["live"] == [{"version": first["id"], "percent": 100}]

        secret = ["--service", "shop", "--to", admin]
        assert run("secret", "put", "TOKEN", *secret, typed="geheim\n", **given).returncode == 0
        assert ask(http).body == "wrangler geheim {'most': 3}"
        assert run("secret", "list", *secret, **given).stdout == "TOKEN\n"
        assert run("secret", "delete", "TOKEN", *secret, **given).returncode == 0
        assert ask(http).body == "wrangler - {'most': 3}"
        assert served.stop(signal.SIGTERM) == 0
    assert "geheim" not in "".join(served.errors.seen + served.output.seen)
    kept = b"".join(path.read_bytes() for path in there.rglob("*") if path.is_file())
    assert b"hunter2" not in kept
    assert b"geheim" not in kept  # deleted is deleted


def test_a_worker_that_lists_its_modules_is_told_how_it_can_be_deployed(tmp_path: Path) -> None:
    listed = CONFIG.replace('main = "w.py"', 'modules = [{ name = "w.py", file = "w.py" }]')
    refused = run("deploy", "-c", project(tmp_path, listed, w=SAYS), "--to", "unix:/nowhere")
    assert refused.returncode == 2
    assert "write them into one by their names" in refused.stderr
