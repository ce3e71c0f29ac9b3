"""A lock is one process's, whoever is refused hears whose, and it ends with the process."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

from pyworkerd.objects.locks import Locks

if TYPE_CHECKING:
    from pathlib import Path

KEY = ("shop-Room", "0a" * 32)
TAKE = """
import sys
from pathlib import Path
from pyworkerd.objects.locks import Locks
print(Locks(Path(sys.argv[1])).take(("shop-Room", "0a" * 32)), flush=True)
sys.stdin.read()
"""


def test_a_lock_is_had_once(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    assert locks.take(KEY) is None
    assert locks.take(KEY) == os.getpid()
    assert Locks(tmp_path).take(KEY) == os.getpid()
    assert locks.take(("shop-Room", "0b" * 32)) is None
    assert locks.take(("shop-Cart", "0a" * 32)) is None
    assert Locks(tmp_path / "other").take(KEY) is None
    locks.release(KEY)
    locks.release(KEY)
    assert Locks(tmp_path).take(KEY) is None


def test_another_process_has_it_until_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "None\n"
        locks = Locks(tmp_path)
        assert locks.take(KEY) == other.pid
        other.kill()
        other.wait()
        assert locks.take(KEY) is None
    locks.release(KEY)


def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "state")
    locks.take(KEY)
    file = tmp_path / "state" / "do" / ".run" / "locks"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.stat().st_size == 0
