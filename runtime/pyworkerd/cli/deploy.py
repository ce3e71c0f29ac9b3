"""`pyworkerd deploy`: bring a worker's files, vars and static assets to a running server, which tries them first."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Worker
from pyworkerd_isolates.bundle import shown as shown_names
from pyworkerd_isolates.errors import BundleError

from pyworkerd.errors import ConfigurationError
from pyworkerd.foreign import Foreign
from pyworkerd.versions.archive import ARCHIVE, pack
from pyworkerd.versions.overlay import VAR_KINDS

from .configuration import add_configuration, read_configuration
from .remote import add_server, path_of, remote_of, service_of
from .site import listed, read_site, send

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pyworkerd_config import Config
    from pyworkerd_config.model import Place
    from pyworkerd_isolates.bundle import Folder

    from pyworkerd.versions.model import Listed

MAX_UPLOAD: Final = 64 << 20
"""Bytes that the admin address takes."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd deploy -c wrangler.toml --to unix:/run/pyworkerd.sock --percent 10"
    add_configuration(parser)
    add_server(parser)
    add = parser.add_argument
    add("-m", "--message", default="", help="what is new, for those who look at the versions")
    percent = (
        "how many of the requests it gets, from 0 to 100; the version before gets the rest (default: 100)"
    )
    add("--percent", type=float, default=100.0, metavar="P", help=percent)
    add(
        "--smoke",
        metavar="PATH",
        help="ask the new version for this first; 500 or above, and it is not deployed",
    )
    add(
        "--test",
        action="store_true",
        help="run its `test` handler first, with the bindings of the running server",
    )


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""
    config = read_configuration(options)
    name = service_of(options, config)
    place, worker = _worker(config, name)
    foreign = Foreign(config)
    folder, assets = foreign.folder(worker, place), worker.assets
    site = None if assets is None else read_site(assets, foreign.to_site(worker, assets.directory))
    listing = None if site is None or assets is None else listed(site, assets)
    body, secrets = _pack(worker, folder, f"{place}: service {name!r}", listing)
    query = {"message": options.message, "percent": options.percent, "smoke": options.smoke}
    if options.test:
        query["test"] = "true"
    remote = remote_of(options, config)
    sent = 0 if site is None else send(site, remote, name)
    done = remote.ask("POST", path_of(name, "versions"), query=query, body=body, kind=ARCHIVE)
    if site is not None:
        done["assets_sent"] = sent
        _tell_secrets(site.secrets)
        secrets = [*secrets, *site.secrets]
    tell({**done, "left_out": secrets} if secrets else done, as_json=options.json)
    return 0


def _tell_secrets(secrets: Sequence[str]) -> None:
    if secrets:
        sys.stderr.write(f"warning: assets left out, since they look like secrets: {shown_names(secrets)}\n")


def tell(done: dict[str, Any], *, as_json: bool) -> None:
    """What answers now, for people or programs."""
    if as_json:
        sys.stdout.write(json.dumps(done) + "\n")
        return
    version = done.get("version")
    if version is not None:
        site = version.get("site")
        assets = "" if site is None else f", {site['files']} assets ({done.get('assets_sent', 0)} new)"
        sys.stdout.write(f"{done['service']}: version {version['id']}, {version['files']} files{assets}\n")
    sys.stdout.write(f"{done['service']}: {shown(done['live'])} (in {done['milliseconds']:.0f} ms)\n")


def shown(shares: Sequence[dict[str, Any]]) -> str:
    """Which versions answer, as `versions deploy` takes them."""
    return " ".join(f"{each['version']}@{each['percent']:g}%" for each in shares)


def _worker(config: Config, name: str) -> tuple[Place, Worker]:
    service = next((each for each in config.services if each.name == name), None)
    if service is None or not isinstance(service.kind, Worker):
        raise ConfigurationError(f"the configuration has no worker named {name!r}")
    if service.kind.modules:
        raise ConfigurationError(
            f"{service.place}: service {name!r} lists its modules, and only the files of a folder can be deployed: "
            'write them into one by their names, and deploy that from a wrangler.toml or a config.toml (main = "...")'
        )
    return service.place, service.kind


def _pack(worker: Worker, folder: Folder, where: str, site: Listed | None) -> tuple[bytes, Sequence[str]]:
    """An archive of the worker, and the names of files that were left out of it."""
    try:
        bundle = folder.read()
    except BundleError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    main = worker.main.resolve().relative_to(worker.root.resolve()).as_posix()
    packed = pack(bundle, main, {b.name: b.value for b in worker.bindings if b.kind in VAR_KINDS}, site)
    if len(packed) > MAX_UPLOAD:
        raise ConfigurationError(f"the worker has {len(packed)} bytes packed; {MAX_UPLOAD} are taken")
    return packed, bundle.secrets
