"""Reads configurations of every dialect. Besides it only `workerd.files` and `workerd.process` touch the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .check import check, workers
from .conventions import SUFFIXES, WRANGLER, main_candidates
from .dev_vars import parse_dev_vars
from .kinds import BINDING_KINDS, BindingKinds
from .model import Config, Place, Service, Worker, flat
from .problems import ConfigError, Problem, ProblemList, quote
from .toml.document import MAX_BYTES, decode_text
from .toml.reader import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .workerd.options import WorkerdOptions

DEV_VARS = ".dev.vars"
"""Wrangler's name for the file of local secrets, beside the configuration."""
ENV = ".env"
"""What the names of those begin with that count beside a Wrangler file where there is none of the other."""

CAPNP = ".capnp"
MAX_MESSAGE_BYTES = 128 << 20
"""Largest encoded configuration: it holds all programs, and a worker may have 64 MiB."""
MAX_SEGMENTS = 512
"""Of an encoded message (Cap'n Proto itself: 512)."""
NO_ENVIRONMENTS = "only a Wrangler file has environments"

MAX_DATA_BYTES = 25 << 20
"""Largest file of a `data` binding: 25 MiB, as Workers' largest KV value and static asset."""


def load(
    path: Path,
    *more: Path,
    environment: str | None = None,
    kinds: BindingKinds = BINDING_KINDS,
    workerd: WorkerdOptions | None = None,
) -> Config:
    """Read a configuration and the `.dev.vars` beside it, and check everything that can be checked.

    `more` are further files of Wrangler's: their workers are beside those of the first.

    It is Wrangler's if its name begins with `wrangler` or it is JSON, and then `environment` may name a part of its
    `env`; workerd's if its name ends in `.capnp` or it is an encoded message, and then `workerd` says what workerd's
    command line does; otherwise a `config.toml`. Raises `ConfigError` with all that is wrong, in the order of the file.
    Secrets of the process environment are the runtime's part.
    """
    problems = ProblemList()
    read = [_read_one(each, environment, problems, kinds, workerd) for each in (path, *more)]
    config, whole = read[0]
    if more:
        for other in (path, *more):
            if not is_wrangler(other):
                message = "only Wrangler's files can be several"
                problems.add(Problem(Place(other), message, "write all services into one config.toml"))
        from .wrangler.join import join  # noqa: PLC0415 (start-up time)

        config, whole = join([each for each, _ in read], kinds), not problems
    # An entry that could not be read would make every mention of its name look wrong.
    for problem in [*check(config, kinds), *check_files(config)] if whole else check_files(config):
        problems.add(problem)
    if problems:
        raise problems.error()
    return config


def _read_one(
    path: Path,
    environment: str | None,
    problems: ProblemList,
    kinds: BindingKinds,
    workerd: WorkerdOptions | None,
) -> tuple[Config, bool]:
    """What could be read of a file, and whether every entry of it could be."""
    place = Place(path)
    binary = is_message(path) if workerd is None or not workerd.binary else True
    if binary or path.suffix == CAPNP:
        if environment is not None:
            problems.add(Problem(place, NO_ENVIRONMENTS, "leave --env out"))
        return _read_workerd(path, problems, workerd, binary=binary), not problems
    if workerd is not None and (meant := workerd.written()):
        problems.add(Problem(place, f"only workerd's configuration has {meant}", "leave it out"))
    text = decode_text(_read(path, MAX_BYTES), place)
    secrets: dict[str, str] = {}
    for found in _dev_vars(path, environment):
        try:
            secrets |= parse_dev_vars(decode_text(_read(found, MAX_BYTES), Place(found)), Place(found))
        except ConfigError as error:
            for problem in error.problems:
                problems.add(problem)
    if is_wrangler(path):
        from .wrangler.reader import read_wrangler  # noqa: PLC0415 (start-up time)

        config = read_wrangler(
            text, place, problems, environment=environment, secrets=secrets, kinds=kinds, is_file=_is_file
        )
        whole = not problems
    else:
        config, whole = read_toml(text, place, problems, kinds=kinds, is_file=_is_file)
        if environment is not None:
            problems.add(Problem(place, NO_ENVIRONMENTS, "leave --env out"))
    return replace(config, secrets=secrets), whole


def _read_workerd(
    path: Path, problems: ProblemList, options: WorkerdOptions | None, *, binary: bool
) -> Config:
    from .workerd import process  # noqa: PLC0415 (start-up time)
    from .workerd.files import SCHEMA, Where, collect  # noqa: PLC0415
    from .workerd.options import DEFAULTS  # noqa: PLC0415
    from .workerd.reader import read_workerd  # noqa: PLC0415
    from .workerd.values import Document  # noqa: PLC0415

    options = options or DEFAULTS
    if binary:
        data = _read(path, MAX_MESSAGE_BYTES)
        values = process.read_message(path, data, SCHEMA.read_bytes())
        where, embedded = Where(None, 0, None, Place(path)), {}
    else:
        files = collect(path, _read, options.import_paths)
        values = process.read_texts(files, options.constant)
        where, embedded = files.where(options.constant), files.embedded
    return read_workerd(values, where, Document(problems, embedded, _read), path, options)


def is_message(path: Path) -> bool:
    """Whether a file is an encoded message of Cap'n Proto: it begins with the number of its segments less one, and
    their sizes in words ("Encoding", Serialization Over a Stream); no text begins like that.
    """
    if path.suffix in (".toml", ".json", ".jsonc", CAPNP) or not _is_file(path):
        return False
    try:
        with path.open("rb") as file:
            head, size = file.read(4), path.stat().st_size
            segments = int.from_bytes(head, "little") + 1
            if len(head) < 4 or segments > MAX_SEGMENTS:
                return False
            words = [int.from_bytes(file.read(4), "little") for _ in range(segments)]
    except OSError:
        return False
    return size == (segments // 2 + 1 + sum(words)) * 8


def is_wrangler(path: Path) -> bool:
    """Whether a file is in Wrangler's dialect."""
    return path.suffix in (".json", ".jsonc") or path.name.startswith("wrangler")


def check_files(config: Config) -> list[Problem]:
    """Files that the model names and that cannot be used: programs, and data files that may be too large."""
    folder = config.place.file.parent if config.place.file else Path()
    return [
        problem
        for service, worker in workers(config)
        for problem in (
            *_missing_main(folder, service, worker),
            *_missing_data(folder, worker),
            *_missing_assets(folder, service, worker),
        )
    ]


def read_data(path: Path) -> bytes:
    """The content of a `data` binding's file. Blocks on the disk. Raises `ConfigError`."""
    return _read(path, MAX_DATA_BYTES)


def _dev_vars(path: Path, environment: str | None) -> list[Path]:
    """The files of local secrets that count, in the order in which one overrides another (Wrangler, "Secrets").

    One of the environment's own takes the place of the general one; `.env` counts where there is neither.
    """
    of_environment = [f"{DEV_VARS}.{environment}"] if environment is not None else []
    for name in (*of_environment, DEV_VARS):
        if _is_file(path.parent / name):
            return [path.parent / name]
    if not is_wrangler(path):
        return []
    endings = [
        "",
        ".local",
        *([f".{environment}", f".{environment}.local"] if environment is not None else []),
    ]
    return [found for ending in endings if _is_file(found := path.parent / f"{ENV}{ending}")]


def _missing_assets(folder: Path, service: Service, worker: Worker) -> Iterator[Problem]:
    if worker.assets is None or worker.assets.directory.is_dir():
        return
    place = service.places.at("worker", "assets", "directory") if service.places.lines else service.place
    message = f"there is no folder {_shown(worker.assets.directory, folder)} for the assets"
    yield Problem(place, message, "make it, or leave the assets out")


def _missing_main(folder: Path, service: Service, worker: Worker) -> Iterator[Problem]:
    if worker.modules or _is_file(worker.main):
        return
    order = WRANGLER if worker.main.suffix == WRANGLER[0] else SUFFIXES
    candidates = main_candidates(service.name, folder, order[:1])
    place = service.places.at("worker", "main") if service.places.lines else service.place
    if worker.main == candidates[0]:
        looked = ", ".join(_shown(path, folder) for path in candidates)
        others = " and ".join(order[1:])
        message = (
            f"no program for service {quote(service.name)}, looked for {looked} and the same as {others}"
        )
        yield Problem(place, message, 'create one of them or write main = "..." in [services.worker]')
    else:
        yield Problem(
            place,
            f"main file {quote(_shown(worker.main, folder))} does not exist",
            "create it or correct the path",
        )


def _missing_data(folder: Path, worker: Worker) -> Iterator[Problem]:
    for binding in flat(worker.bindings):
        if not isinstance(binding.value, Path):
            continue
        name = quote(_shown(binding.value, folder))
        if not _is_file(binding.value):
            yield Problem(binding.place, f"data file {name} does not exist", "create it or correct the path")
        elif binding.value.stat().st_size > MAX_DATA_BYTES:
            yield Problem(binding.place, f"data file {name} is larger than {MAX_DATA_BYTES >> 20} MiB")


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, a folder that may not be entered, a zero character
        return False


def _read(path: Path, limit: int) -> bytes:
    """At most `limit + 1` bytes: one more than is allowed, so that the caller sees that it is too much."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError([Problem(Place(path), "this is not a file")])
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ConfigError([Problem(Place(path), f"cannot be read ({error.strerror})")]) from None
    if len(content) > limit:
        raise ConfigError([Problem(Place(path), f"the file is larger than {limit >> 20} MiB")])
    return content
