"""The command as it is installed: in an environment of its own, away from the sources."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.request import urlopen

from tests.packaging.tree import ROOT
from tests.runtime.cli.command import PATIENCE_S


def installed(folder: Path) -> Path:
    """The programs of an environment that has the wheel; only the dependencies are those of the tests."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    home = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", home / "bin/python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return home / "bin"


def test_a_project_is_begun_tested_and_served(tmp_path: Path) -> None:
    programs, project = installed(tmp_path), tmp_path / "project"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def told(program: str, *arguments: str, cwd: Path = project) -> str:
        command = [programs / program, *arguments]
        done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told("pyworkerd", "init", "project", cwd=tmp_path)
    where = told("python", "-c", "import pyworkerd; print(pyworkerd.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path)
    assert told("pyworkerd", "test").endswith("3 passed, 0 failed\n")
    with subprocess.Popen(
        [programs / "pyworkerd", "dev", "--port=0"],
        cwd=project,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as served:
        try:
            assert served.stdout is not None
            ready = served.stdout.readline()
            assert ready.startswith("Ready on http://127.0.0.1:")
            with urlopen(ready.split()[-1], timeout=PATIENCE_S) as answer:
                assert b"<h1>Hello, world!</h1>" in answer.read()
            served.send_signal(signal.SIGINT)
            assert served.wait(PATIENCE_S) == 0
        finally:
            served.kill()
