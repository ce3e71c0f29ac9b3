"""`pyworkerd validate config.toml`: everything that `serve` would refuse, without serving."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd_config import ConfigError

from pyworkerd.errors import ConfigurationError
from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.problems import MISTAKE, Fault, Refusal, faults_of
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.supervisor.reports import Readable

from .configuration import add_configuration, read_configuration, tell_warnings

if TYPE_CHECKING:
    import argparse

    from pyworkerd_config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd validate;  pyworkerd validate config.toml --no-deploy --json"
    add_configuration(parser)
    parser.add_argument("--no-deploy", action="store_true", help="do not run the workers' top level")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(ALLOW, action="store_true", help=ALLOW_HELP)


def run(options: argparse.Namespace) -> int:
    """Print `ok`, or raise what is wrong: `ConfigError`, `Refusal`."""
    config = read_configuration(options)
    faults: list[Fault] = []
    for check in (_check_certificates, _deploy)[: 1 if options.no_deploy else 2]:
        try:
            check(config, options)
        except (ConfigError, ConfigurationError) as error:
            faults += faults_of(error)
    if faults:
        raise Refusal(faults, MISTAKE)
    if options.json:
        warnings = [str(warning) for warning in config.warnings]
        sys.stdout.write(json.dumps({"ok": True, "problems": [], "warnings": warnings}) + "\n")
    else:
        tell_warnings(config)
        sys.stdout.write("ok\n")
    return 0


def _check_certificates(config: Config, _: argparse.Namespace) -> None:
    if all(socket.https is None for socket in config.sockets):
        return
    from pyworkerd.server.tls import certificate_problems  # noqa: PLC0415 - slow to import

    if problems := certificate_problems(config):
        raise ConfigError(problems)


def _deploy(config: Config, options: argparse.Namespace) -> None:
    async def deploy(folder: str) -> None:
        runtime = RuntimeOptions(
            progress=Readable().progress, state_dir=Path(folder), allow_trusted=options.allow_trusted
        )
        async with Runtime(replace(config, deploy="eager"), runtime):
            pass

    with tempfile.TemporaryDirectory(prefix="pyworkerd-") as folder:  # the stores are not touched
        asyncio.run(deploy(folder))
