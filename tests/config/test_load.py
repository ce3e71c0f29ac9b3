"""The disk: real files, missing files, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import ConfigError, Worker, load, read_data
from pyworkerd_config.load import MAX_DATA_BYTES

SOUND = '[[sockets]]\nname = "http"\naddress = "127.0.0.1:0"\nservice = "shop"\n[[services]]\nname = "shop"\n'


def config_file(folder: Path, text: str, *programs: str) -> Path:
    for program in programs:
        (folder / program).parent.mkdir(parents=True, exist_ok=True)
        (folder / program).write_text("")
    (folder / "config.toml").write_text(text)
    return folder / "config.toml"


def fault(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


@pytest.mark.parametrize("program", ["shop.py", "src/shop.py", "shop/index.py", "shop.ts", "src/shop.js"])
def test_a_program_is_found_by_convention(tmp_path: Path, program: str) -> None:
    worker = load(config_file(tmp_path, SOUND, program)).services[0].kind
    assert isinstance(worker, Worker)
    assert worker.main == tmp_path / program
    assert worker.root == (tmp_path / program).parent


def test_no_program_says_where_it_was_looked_for(tmp_path: Path) -> None:
    message = (
        'config.toml:5: no program for service "shop", looked for shop.py, src/shop.py, shop/index.py '
        "and the same as .ts and .js: "
        'create one of them or write main = "..." in [services.worker]'
    )
    assert fault(config_file(tmp_path, SOUND)) == [message]


def test_the_root_of_a_worker_may_lie_above_its_main_file(tmp_path: Path) -> None:
    text = SOUND + '[services.worker]\nmain = "src/shop.ts"\nroot = "{root}"\n'
    worker = load(config_file(tmp_path, text.format(root="."), "src/shop.ts")).services[0].kind
    assert isinstance(worker, Worker)
    assert (worker.main, worker.root) == (tmp_path / "src/shop.ts", tmp_path)
    for root in ("lib", "src/../lib", "src/shop", "../other"):
        (message,) = fault(config_file(tmp_path, text.format(root=root), "src/shop.ts"))
        assert 'the main file "shop.ts" does not lie below the worker\'s root: name a folder' in message


def test_a_root_above_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SOUND + '[services.worker]\nmain = "shop.ts"\nroot = "{root}"\n'
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for root in ("..", "../here", str(tmp_path), "/"):
        config_file(tmp_path / "here", text.format(root=root), "shop.ts")
        load(Path("config.toml"))
    config_file(tmp_path / "here", text.format(root="../there"), "shop.ts")
    assert "does not lie below" in fault(Path("config.toml"))[0]


def test_missing_files_are_told_with_everything_else(tmp_path: Path) -> None:
    text = (
        SOUND + '[services.worker]\nmain = "gone.py"\nmian = 1\n[services.worker.bindings]\n'
        'D = { data = { file = "gone.bin" } }\nS = { service = "gone" }\n'
    )
    (tmp_path / ".dev.vars").write_text("hunter2\n")
    assert fault(config_file(tmp_path, text)) == [
        '.dev.vars:1: not understood: write NAME=value or NAME="value" on a line of its own',
        'config.toml:8: main file "gone.py" does not exist: create it or correct the path',
        'config.toml:9: unknown key "mian": did you mean "main"?',
        'config.toml:11: data file "gone.bin" does not exist: create it or correct the path',
        'config.toml:12: unknown service "gone": there are "internet" and "shop"',
    ]


def test_an_unreadable_entry_does_not_make_its_mentions_wrong(tmp_path: Path) -> None:
    text = SOUND.replace('name = "shop"', "name = 1")
    assert fault(config_file(tmp_path, text)) == [
        'config.toml:6: "name" must be a text, found an integer: write for example name = "shop"'
    ]


def test_secrets_come_from_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".dev.vars").write_text("TOKEN=hunter2\n")
    config = load(config_file(tmp_path, SOUND, "shop.py"))
    assert config.secrets == {"TOKEN": "hunter2"}
    assert "hunter2" not in repr(config)


def test_without_that_file_there_are_none(tmp_path: Path) -> None:
    assert load(config_file(tmp_path, SOUND, "shop.py")).secrets == {}


def test_a_data_file_is_read_by_whoever_needs_it(tmp_path: Path) -> None:
    (tmp_path / "logo.bin").write_bytes(b"\x00\xff")
    assert read_data(tmp_path / "logo.bin") == b"\x00\xff"


def test_a_data_file_has_a_largest_size(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(MAX_DATA_BYTES + 1)
    text = SOUND + '[services.worker.bindings]\nD = { data = { file = "big.bin" } }\n'
    assert fault(config_file(tmp_path, text, "shop.py")) == [
        'config.toml:8: data file "big.bin" is larger than 25 MiB'
    ]
    with pytest.raises(ConfigError, match="larger than 25 MiB"):
        read_data(tmp_path / "big.bin")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read \(No such file or directory\)$"):
        load(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="this is not a file"):
        load(tmp_path)


def test_assets_that_are_no_folder(tmp_path: Path) -> None:
    text = SOUND + '[services.worker]\nassets = { directory = "public" }\n'
    path = config_file(tmp_path, text, "shop.py", "public/index.html")
    load(path)
    (tmp_path / "public" / "index.html").unlink()
    (tmp_path / "public").rmdir()
    message = "there is no folder public for the assets: make it, or leave the assets out"
    assert fault(path) == [f"config.toml:8: {message}"]


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "config.toml").open("wb") as file:
        file.truncate(1 << 40)
    assert fault(tmp_path / "config.toml") == ["config.toml: the file is larger than 16 MiB"]


def test_a_binary_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\x7fELF\x02\x01\x01\x00\xff\xfe")
    assert fault(tmp_path / "config.toml") == [
        "config.toml:1: this is not UTF-8 text: save the file as UTF-8"
    ]


def test_ten_thousand_services(tmp_path: Path) -> None:
    number = 10_000
    text = SOUND + "".join(
        f'[[services]]\nname = "t{i}"\nroutes = ["t{i}.example.com/*"]\n'
        f'[services.worker]\nmain = "shop.py"\nbindings = {{ GREETING = {{ text = "hello {i}" }} }}\n'
        for i in range(number)
    )
    config = load(config_file(tmp_path, text, "shop.py"))
    assert len(config.services) == number + 2  # the shop, and the internet
    last = config.services[-2]
    assert last.name == f"t{number - 1}"
    lines = text.count("\n")
    assert (last.place.line, last.places.at("routes", 0).line) == (lines - 5, lines - 3)
    wrong = text + '[[services]]\nname = "wrong"\nworker = { main = "shop.py", global_outbound = "t99999" }\n'
    problem = fault(config_file(tmp_path, wrong, "shop.py"))
    assert problem == [f'config.toml:{lines + 3}: unknown service "t99999": did you mean "t9999"?']
