"""The pages say what the code does: every name, default and error code that they list is compared with it."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest
import pyworkerd
from pyworkerd import errors
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.http import HttpLimits
from pyworkerd.observe.access import HOST_CHARACTERS, METHOD_CHARACTERS, PATH_CHARACTERS, AccessEntry
from pyworkerd.observe.background import SHARE, WAITING_CHARACTERS
from pyworkerd.observe.counters import LABELLED
from pyworkerd.observe.exposition import PREFIX
from pyworkerd.observe.families import BOUNDS_MS, FAMILIES, OTHERS
from pyworkerd.observe.logs import PIECE, SHOWN, LogEntry
from pyworkerd.observe.trace_item import CANCELED, OK, OUTCOMES, TraceItem
from pyworkerd.server import ServerOptions
from pyworkerd.services.outbound_plan import OutboundLimits
from pyworkerd.websocket.options import WireOptions
from pyworkerd_config import check as check_config
from pyworkerd_config import parse_toml
from pyworkerd_config.kinds import BINDING_KINDS, NOT_YET
from pyworkerd_config.limits import LIMIT_RANGES, PROCESSES_RANGES
from pyworkerd_config.model import Limits, Place, Processes
from pyworkerd_config.toml import https as toml_https
from pyworkerd_config.toml import reader as toml_reader
from pyworkerd_config.wrangler import file as wrangler_file
from pyworkerd_config.wrangler.reader import parse_wrangler
from pyworkerd_isolates import protocol
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.limits import Limits as IsolateLimits

from tests.packaging.markdown import (
    code_blocks,
    first_column,
    local_links,
    named_tests,
    page,
    rows,
    section,
)
from tests.packaging.tree import PACKAGES, ROOT, pages, relative

BEHAVIOUR, CONFIGURATION, ARCHITECTURE = "docs/behaviour.md", "docs/configuration.md", "ARCHITECTURE.md"
OBSERVING = "docs/observing.md"
GUEST = ROOT / "isolates/pyworkerd_isolates/python/guest"


def tree_of(error: type[errors.PyworkerdError]) -> list[type[errors.PyworkerdError]]:
    return [error, *(leaf for child in error.__subclasses__() for leaf in tree_of(child))]


CODES: dict[str, int] = {error.code: error.status for error in tree_of(errors.PyworkerdError)}


@pytest.mark.parametrize(("name", "heading"), [(BEHAVIOUR, "Error codes"), ("README.md", "Errors")])
def test_every_error_code_is_listed_with_its_status(name: str, heading: str) -> None:
    assert {row[0]: int(row[1]) for row in rows(name, heading)} == CODES


def test_one_code_means_one_status() -> None:
    for error in tree_of(errors.PyworkerdError):
        assert CODES[error.code] == error.status, error
        assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"\b[A-Z]\w+", (errors.__doc__ or "").split("header) and")[-1]))
    assert {error.__name__ for error in tree_of(errors.PyworkerdError)} <= drawn | {"PyworkerdError"}


def defaults(model: type) -> dict[str, object]:
    return {
        field.name: field.default
        for field in dataclasses.fields(model)
        if field.default is not dataclasses.MISSING
    }


def shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:,}".removesuffix(".0") if isinstance(value, int | float) else str(value)


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("Limits of a worker", Limits),
        ("Limits of one step", IsolateLimits),
        ("Limits of a request", HttpLimits),
        ("Limits of a connection", ServerOptions),
        ("Limits of a WebSocket", WireOptions),
        ("Limits of outbound requests", OutboundLimits),
        ("Limits of the process", FleetLimits),
    ],
)
def test_every_limit_is_listed_with_its_default(heading: str, model: type) -> None:
    listed = {row[0]: row[1] for row in rows(BEHAVIOUR, heading)}
    assert listed == {name: shown(value) for name, value in defaults(model).items()}


def test_the_range_of_every_limit_is_listed() -> None:
    listed = {row[0]: row[1:3] for row in rows(CONFIGURATION, "limits")}
    own = defaults(Limits)
    assert listed == {
        name: [shown(own[name]), f"{shown(r.minimum)} to {shown(r.maximum)}"]
        for name, r in LIMIT_RANGES.items()
    }


def test_the_range_of_everything_about_processes_is_listed() -> None:
    listed = {row[0]: row[2:4] for row in rows(CONFIGURATION, "[processes]")}
    own = defaults(Processes)
    assert listed == {
        name: [shown(own[name]), f"{shown(r.minimum)} to {shown(r.maximum)}"]
        for name, r in PROCESSES_RANGES.items()
    }


TABLES = {
    "The file": toml_reader._document_table(BINDING_KINDS, Path.is_file),
    "[processes]": toml_reader._PROCESSES,
    "admin": toml_reader._ADMIN,
    "[[sockets]]": toml_reader._SOCKET,
    "https": toml_https.HTTPS,
    "acme": toml_https.ACME,
    "[[services]]": toml_reader._service_table(BINDING_KINDS),
    "rate_limits": toml_reader.RATE_LIMIT,
    "[services.worker]": toml_reader._worker_table(BINDING_KINDS),
    "limits": toml_reader._LIMITS,
    "network": toml_reader._NETWORK,
    "external": toml_reader._EXTERNAL,
    "disk": toml_reader._DISK,
    "assets": toml_reader.ASSETS,
    "[[stores]]": toml_reader._store_table(BINDING_KINDS),
    "[[queues]]": toml_reader._QUEUE,
}


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_of_the_configuration_is_described(heading: str) -> None:
    assert first_column(CONFIGURATION, heading) == [field.key for field in TABLES[heading].fields]


def test_keys_that_will_come_are_said_not_to_be_there() -> None:
    coming = set(first_column(CONFIGURATION, "Not in this version"))
    assert coming == NOT_YET | {key for table in TABLES.values() for key in table.not_yet}


def test_every_kind_of_binding_is_described_with_its_example_and_options() -> None:
    listed = {row[0]: row for row in rows(CONFIGURATION, "[services.worker.bindings]")}
    assert list(listed) == list(BINDING_KINDS)
    for name, kind in BINDING_KINDS.items():
        assert kind.example in listed[name][1], name
        assert all(f"`{option}`" in listed[name][2] for option in kind.options), name


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", CONFIGURATION, "docs/kv.md", "docs/d1.md", "docs/r2.md", "docs/durable-objects.md"),
        "docs/sandbox.md",
        "docs/assets.md",
        "docs/tails.md",
    ],
)
def test_the_configurations_that_the_pages_show_can_be_read(name: str) -> None:
    blocks = [block for block in code_blocks(page(name), "toml") if "[[services]]" in block]
    assert blocks
    for block in blocks:
        config = parse_toml(block, Place(Path("config.toml")))
        assert check_config(config) == []


def test_every_key_of_wrangler_is_described() -> None:
    place = Place(Path("wrangler.toml"))
    known = {key for row in rows("docs/wrangler.md", "What keys mean") for key in re.findall(r"\w+", row[0])}
    assert known == wrangler_file.KEYS
    whole, several, limits = code_blocks(page("docs/wrangler.md"), "toml")
    for block, environment in ((whole, None), (whole, "production"), (several + limits, None)):
        config = parse_wrangler(block, place, environment=environment)
        assert (check_config(config), config.warnings) == ([], ())


def test_all_that_tail_workers_are_told_is_described() -> None:
    table = rows("docs/tails.md", "What is told of an invocation")
    told = TraceItem("shop", None, {}, "stateless", 0).finish(0, 0)
    assert {name for row in table for name in re.findall(r"\w+", row[0])} == set(told)
    outcomes = next(row[1] for row in table if "outcome" in row[0])
    assert set(re.findall(r"\w+", outcomes)) == {OK, CANCELED, "exception", *OUTCOMES.values()}


@pytest.mark.parametrize(("heading", "entry"), [("Logs", LogEntry), ("Access log", AccessEntry)])
def test_every_field_of_the_logs_is_described(heading: str, entry: type[LogEntry | AccessEntry]) -> None:
    types: dict[type, str] = {float: "number", int: "number", str: "text", bool: "boolean"}
    hints = {name: types[hint] for name, hint in get_type_hints(entry).items()}
    assert {row[0]: row[1] for row in rows(OBSERVING, heading)} == hints
    assert list(hints) == list(entry._fields)


def test_the_bounds_of_the_logs_are_told() -> None:
    logs = " ".join(section(OBSERVING, "Logs").split())
    access = " ".join(section(OBSERVING, "Access log").split())
    for text, bound in (
        (logs, f"at most {SHOWN:,} characters"),
        (logs, f"up to {PIECE:,} characters"),
        (
            logs,
            f"({WAITING_CHARACTERS >> 20} MiB, of which one worker may take {WAITING_CHARACTERS // SHARE >> 20} MiB)",
        ),
        (access, f"cut to {METHOD_CHARACTERS} characters"),
        (access, f"cut to {HOST_CHARACTERS} characters"),
        (access, f"cut to {PATH_CHARACTERS:,} characters"),
    ):
        assert bound in text


def test_every_metric_is_listed_as_it_is_exposed() -> None:
    listed = {row[0]: row[1:] for row in rows(OBSERVING, "Metrics")}
    assert listed == {
        f"{PREFIX}{name}" + ("_total" if family.kind == "counter" else ""): [
            family.kind,
            ", ".join(f"`{label}`" for label in family.labels).strip("`"),
            family.help,
        ]
        for name, family in FAMILIES.items()
    }


def test_bounds_and_numbers_of_metrics_are_told() -> None:
    text = " ".join(section(OBSERVING, "Metrics").split())
    (told,) = re.findall(r"end at ([\d, and]+) ms and at ([\d., and]+) s\.", text)
    bounds = [
        float(each) * unit
        for part, unit in zip(told, (1, 1000), strict=True)
        for each in re.findall(r"[\d.]+", part)
    ]
    assert bounds == list(BOUNDS_MS)
    assert f"The first {LABELLED:,} workers" in text
    assert f'worker="{OTHERS}"' in text


def test_events_and_effects_are_those_of_the_protocol() -> None:
    tree = ast.parse((GUEST / "_pyworkerd" / "step.py").read_text(encoding="utf-8"))
    (events,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EVENTS"
    )
    assert isinstance(events, ast.Dict)
    known = {ast.literal_eval(key) for key in events.keys if key is not None}
    assert set(first_column(ARCHITECTURE, "Events")) == known
    assert set(first_column(ARCHITECTURE, "Effects")) == set(protocol._EFFECTS)


def test_fields_of_effects_are_counted() -> None:
    for row in rows(ARCHITECTURE, "Effects"):
        given = [field for field in row[1].replace("`", "").split(", ") if field]
        assert len(given) == len(protocol._EFFECTS[row[0]][1]), row[0]


def test_the_guest_sdk_is_described_name_by_name() -> None:
    tree = ast.parse((GUEST / "workers/__init__.py").read_text(encoding="utf-8"))
    (names,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    listed = set(re.findall(r"\w+", " ".join(first_column("docs/python-workers.md", "What `workers` has"))))
    assert set(ast.literal_eval(names)) == listed


def test_the_states_of_an_isolate_are_named() -> None:
    text = page(ARCHITECTURE)
    assert all(state.value in text for state in State)


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(\d[^\]]*)\]", page("CHANGELOG.md"), re.MULTILINE)
    project = tomllib.loads(page("pyproject.toml"))["project"]
    assert versions[0] == project["version"] == getattr(pyworkerd, "__version__", project["version"])


@pytest.mark.parametrize("path", pages(), ids=relative)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for link in local_links(path):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", pages(), ids=relative)
def test_tests_that_a_page_names_as_evidence_exist(path: Path) -> None:
    for file, function in named_tests(path):
        assert (ROOT / file).is_file(), file
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, f"{file}::{function}"


@pytest.mark.parametrize("law", range(1, 9))
def test_every_law_names_where_it_is_kept_and_by_which_test(law: int) -> None:
    row = rows("SECURITY.md", "The laws")[law - 1]
    assert len(row) == 4
    assert all(row)


def test_every_package_is_in_the_layout() -> None:
    text = page(ARCHITECTURE)
    for folder in PACKAGES.values():
        assert f"{relative(folder)}/" in text
