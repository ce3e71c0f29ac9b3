"""`pyworkerd`: the table of commands, and what every command does with a failure.

`serve` answers its first request within 400 ms of the command, so nothing is imported here that it does not need.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""What a shell reports of a program that SIGINT or SIGPIPE has ended."""


class Row(NamedTuple):
    """A command: its one-line help, and the module that has `configure` and `run`."""

    help: str
    module: str


class Command(Protocol):
    """What the module of a command offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it, and return the exit status. May raise what `failures.explain` knows."""


COMMANDS: Final = {
    "init": Row("begin a project from a template", "pyworkerd.cli.init"),
    "serve": Row("serve a configuration", "pyworkerd.cli.serve"),
    "dev": Row("serve a configuration while its workers are written", "pyworkerd.cli.dev"),
    "validate": Row(
        "check a configuration, and deploy its workers to see that they start", "pyworkerd.cli.validate"
    ),
    "explain": Row("print a configuration as it was understood", "pyworkerd.cli.explain"),
    "types": Row("write declarations of what workers find on env, for type checkers", "pyworkerd.cli.types"),
    "test": Row("run the test handlers that workers export", "pyworkerd.cli.test"),
    "tail": Row("follow what the workers of a running server say and do", "pyworkerd.cli.tail"),
    "replay": Row("run a recorded invocation again, step by step", "pyworkerd.cli.replay"),
    "compile": Row("put a configuration and all its files into one that serve runs", "pyworkerd.cli.compile"),
    "cron": Row("list cron expressions, or run a scheduled handler by hand", "pyworkerd.cli.cron"),
    "analytics": Row("ask a worker's dataset with SQL", "pyworkerd.cli.analytics"),
    "kv": Row("look into a worker's KV store, and change it", "pyworkerd.cli.kv"),
    "d1": Row("ask a worker's database, and take it out or in as SQL", "pyworkerd.cli.d1"),
    "r2": Row("look into a worker's bucket, and change it", "pyworkerd.cli.r2"),
    "do": Row("what Durable Objects have stored, as databases", "pyworkerd.cli.do"),
    "queue": Row("how queues stand, and messages by hand", "pyworkerd.cli.queue"),
    "deploy": Row("bring a worker to a running server", "pyworkerd.cli.deploy"),
    "versions": Row(
        "what was deployed to a running server, and which of it answers", "pyworkerd.cli.versions"
    ),
    "rollback": Row("let an earlier version answer again", "pyworkerd.cli.rollback"),
    "secret": Row("secrets of a running server's workers", "pyworkerd.cli.secret"),
    "token": Row("make a token for the API of the admin address", "pyworkerd.cli.token"),
    "state": Row("back up everything that is stored, and restore it", "pyworkerd.cli.state"),
    "engine": Row("build, list or remove the engines of this machine", "pyworkerd.cli.engine"),
    "completion": Row("print what lets a shell complete commands and options", "pyworkerd.cli.completion"),
    "bench": Row("measure this installation, beside others", "pyworkerd.cli.bench"),
}
ALIASES: Final = {"queues": "queue"}
"""As Wrangler calls them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own. Returns the exit status; argparse exits by itself with 2."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser_of(given).parse_args(given)
    try:
        status = _load(ALIASES.get(options.command, options.command)).run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go; the interpreter would complain when it flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        from .failures import explain  # noqa: PLC0415 (not before something fails)

        known = explain(error, as_json=getattr(options, "json", False))
        if known is None:
            raise
        return known
    return status


def parser_of(given: Collection[str]) -> argparse.ArgumentParser:
    """The parser of a command line. Of the commands that are not among these words it has only the names."""
    parser = argparse.ArgumentParser(
        prog="pyworkerd",
        description="Serve programs of people who do not trust each other, each in a WebAssembly isolate of its own.",
        epilog="`pyworkerd COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, row in COMMANDS.items():
        also = [alias for alias, meant in ALIASES.items() if meant == name]
        sub = commands.add_parser(
            name, aliases=also, help=row.help, description=f"{row.help[0].upper()}{row.help[1:]}."
        )
        if any(word in given for word in (name, *also)):
            _load(name).configure(sub)
    return parser


def _load(name: str) -> Command:
    # Importing makes next to no garbage; looking for it all the same takes 8 of 120 ms.
    gc.disable()
    try:
        return cast("Command", importlib.import_module(COMMANDS[name].module))
    finally:
        gc.enable()


class _Version(argparse.Action):
    """Versions of this project and of what runs the guests; looked up only when they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 (20 ms)

        wasmtime = version("wasmtime")
        sys.stdout.write(
            f"pyworkerd {version('pyworkerd')} (wasmtime {wasmtime}, Python {sys.version.split()[0]})\n"
        )
        parser.exit()
