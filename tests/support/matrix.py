"""What docs/support.md says, and the page itself as text: of `apis.toml` and of the tables that configurations are read
by. No I/O but reading `apis.toml`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_config.kinds import BINDING_KINDS
from pyworkerd_config.toml import modules as toml_modules
from pyworkerd_config.toml import reader as toml_reader
from pyworkerd_config.workerd import tables as workerd_tables
from pyworkerd_config.wrangler import file as wrangler_file
from pyworkerd_config.wrangler import tables as wrangler_tables

from tests.packaging.test_docs import TABLES
from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE: Final = ROOT / "docs/support.md"
LANGUAGES: Final = {"javascript": "JavaScript", "python": "Python"}
STATUSES: Final = ("supported", "different", "stronger", "not yet", "not needed")
REFUSES: Final = "refuses"
"""Note of what is there only to say that it is not."""
THERE: Final = ("supported", "different", "stronger")
"""Of these something is there."""

_NOTES: Final = {REFUSES: "it throws, and says so"}

INTRODUCTION: Final = """\
# What is supported

`make docs` writes this page, of the tables that configurations are read by and of `tests/support/apis.toml`. Tests
fail where it and the code disagree: `tests/support/test_support.py` asks real isolates for each name.

| | |
|---|---|
| supported | as in Workers, Wrangler or workerd |
| different | there, and not quite the same: the note says what |
| stronger | there, and more than that |
| not yet | missing; of a configuration's key: with a warning, or an error that names it |
| not needed | a key that is read over, with a warning that says why it means nothing here |
"""


class Status(NamedTuple):
    """Of one name in one language."""

    status: str
    note: str = ""


class Section(NamedTuple):
    """Names that are found in one place."""

    title: str
    places: Mapping[str, str]
    """By language: an expression that has the names, or gives one of them (`is_module`). Empty: not asked."""
    is_module: bool
    evidence: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Status]]
    """By name and language."""


def sections() -> list[Section]:
    """Those of programs."""
    with Path(__file__).with_name("apis.toml").open("rb") as file:
        return [_section(each) for each in tomllib.load(file)["section"]]


def _section(written: dict[str, Any]) -> Section:
    places = {language: written[language] for language in LANGUAGES if language in written}
    rows: dict[str, dict[str, Status]] = {
        name: dict.fromkeys(places, Status("supported")) for name in written.get("names", "").split()
    }
    for name, told in written.get("rows", {}).items():
        by_language = told if isinstance(told, dict) else dict.fromkeys(places, told)
        rows[name] = {language: _status(text) for language, text in by_language.items()}
    return Section(
        written["title"], places, written.get("modules", False), tuple(written.get("evidence", ())), rows
    )


def _status(text: str) -> Status:
    return Status(*text.split(": ", 1))


def page() -> str:
    """The whole text."""
    parts = [INTRODUCTION, "## Programs\n", *(_table(section) for section in sections())]
    return "\n".join([*parts, "## Configurations\n", *_configurations()])


def _table(section: Section) -> str:
    languages = [LANGUAGES[language] for language in section.places]
    lines = [f"### {section.title}\n"]
    lines += [f"| name | {' | '.join(languages)} | |", f"|---|{'---|' * len(languages)}---|"]
    for names, by_language in _grouped(section.rows):
        cells = " | ".join(by_language[language].status for language in section.places)
        notes = dict.fromkeys(
            _NOTES.get(status.note, status.note) for status in by_language.values() if status.note
        )
        shown = ", ".join(f"`{name}`" for name in names)
        lines.append(f"| {shown} | {cells} | {'; '.join(notes)} |")
    if section.evidence:
        lines += ["", f"Shown by {', '.join(f'`{test}`' for test in section.evidence)}."]
    return "\n".join([*lines, ""])


def _grouped(
    rows: Mapping[str, Mapping[str, Status]],
) -> Iterator[tuple[list[str], Mapping[str, Status]]]:
    """Names of which the same is said, in one row: where there is a note each has its own."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, by_language in rows.items():
        has_note = any(status.note for status in by_language.values())
        groups.setdefault((tuple(by_language.items()), name if has_note else None), []).append(name)
    for (statuses, _), names in groups.items():
        yield names, dict(statuses)


# --- configurations


class Key(NamedTuple):
    """A key of a file, or several of which the same is said."""

    names: tuple[str, ...]
    status: Status


def wrangler_keys() -> dict[str, list[Key]]:
    """Those of Wrangler's files: what the file has, and what entries have."""
    own = sorted(wrangler_file.KEYS | wrangler_tables.ONLY_AT_THE_TOP)
    return {
        "The file": [Key(tuple(own), Status("supported")), *_read_over(wrangler_tables.NOT_HERE)],
        "Entries": [
            *(
                Key((f"{'.'.join(path)}.{key}",), Status("supported"))
                for path, table in _TABLES
                for key in table.known
            ),
            *_read_over(wrangler_tables.NOT_IN_ROWS),
        ],
    }


_TABLES: Final = (
    *wrangler_tables.LISTS,
    (("queues", "consumers"), wrangler_tables.CONSUMER),
    (("ratelimits",), wrangler_tables.RATE_LIMIT),
    (("ratelimits", "simple"), wrangler_tables.SIMPLE),
    (("tail_consumers",), wrangler_tables.TAIL),
    (("triggers",), wrangler_tables.TRIGGERS),
    (("limits",), wrangler_tables.LIMITS),
    (("secrets",), wrangler_tables.SECRETS),
    (("dev",), wrangler_tables.DEV),
    (("routes",), wrangler_tables.ROUTE),
    (("pyworkerd",), wrangler_tables.OURS),
    (("pyworkerd", "rate_limits"), wrangler_tables.INCOMING),
    (("assets",), toml_reader.ASSETS),
)


_MATTERS: Final = frozenset((
    "alias", "build", "connect", "data_blobs", "define", "environment", "jsx_factory", "jsx_fragment", "local_protocol",
    "migrations_pattern", "migrations_table", "pages_build_output_dir", "python_modules", "rules", "site", "text_blobs",
    "wasm_modules",
))  # fmt: skip
"""Keys without which a program that has them may not run as it would with Wrangler, services aside."""


def _read_over(reasons: Mapping[str, str]) -> Iterator[Key]:
    groups: dict[tuple[str, str], list[str]] = {}
    for key, reason in sorted(reasons.items()):
        missing = reason == wrangler_tables._SERVICE or key in _MATTERS
        groups.setdefault(("not yet" if missing else "not needed", reason), []).append(key)
    for (status, reason), keys in groups.items():
        yield Key(tuple(keys), Status(status, reason))


def workerd_fields() -> dict[str, list[Key]]:
    """Those of workerd's configuration, by struct or group."""
    return {
        struct: [
            Key((f"{struct}.{name}",), Status(_WORKERD[field.status], field.note))
            for name, field in rows.items()
        ]
        for struct, rows in workerd_tables.FIELDS.items()
    }


_WORKERD: Final = {
    "supported": "supported", "different": "different", "ignored": "not needed", "refused": "not yet",
}  # fmt: skip


def toml_tables() -> dict[str, tuple[str, ...]]:
    """The keys of `config.toml`, table by table."""
    tables = {
        **TABLES,
        "durable_objects": toml_reader._OBJECT_CLASS,
        "modules": toml_modules._MODULE,
        "[[extensions]]": toml_modules._EXTENSION,
    }
    known = {title if " " in title else f"`{title}`": tuple(table.known) for title, table in tables.items()}
    return {**known, "kinds of bindings": tuple(BINDING_KINDS)}


def _configurations() -> Iterator[str]:
    yield "### config.toml\n\nAll of it is supported; [configuration.md](configuration.md) says what each key means.\n"
    yield _lines("where", ((title, _names(keys)) for title, keys in toml_tables().items()))
    for title, keys in wrangler_keys().items():
        yield f"### Wrangler: {title.lower()}\n"
        if title == "The file":
            yield "[wrangler.md](wrangler.md) says what supported keys mean.\n"
        yield _keys(_together(keys))
    yield "### workerd: every field\n\n[workerd.md](workerd.md) says what is another way here.\n"
    yield _keys(key for keys in workerd_fields().values() for key in _together(keys))


def _keys(keys: Iterable[Key]) -> str:
    rows = (f"| {_names(names)} | {each} | {_cell(note)} |" for names, (each, note) in keys)
    return "\n".join(["| keys | | |", "|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _together(keys: list[Key]) -> Iterator[Key]:
    """Supported keys of entries in one row for each list."""
    groups: dict[tuple[Status, str], list[str]] = {}
    for key in keys:
        owner = key.names[0].rpartition(".")[0] if len(key.names) == 1 else "".join(key.names)
        groups.setdefault((key.status, owner), []).extend(key.names)
    for (status, _), names in groups.items():
        yield Key(tuple(names), status)


def _lines(head: str, lines: Iterator[tuple[str, str]]) -> str:
    return "\n".join([f"| {head} | keys |", "|---|---|", *(f"| {a} | {b} |" for a, b in lines), ""])


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
