"""`_headers` and `_redirects`: lines of text that say more about files. Pure.

A rule's path may have one `*`, which is `:splat` in what follows, and `:names`, each for one part of a path. Lines that
are not understood are left out, and told to the operator; so is what goes beyond the limits of Workers.

Whoever deploys a site writes the rules, and its clients the paths, both as they like, and this is done on the event
loop: so a part of a path has one star or name at most, which is found without trying, and what is filled in is bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MAX_STATIC: Final = 2000
MAX_DYNAMIC: Final = 100
MAX_LINE: Final = 2000
MAX_HEADER_RULES: Final = 100
MAX_FILLED: Final = 10
"""Placeholders in a destination or in a value."""
MAX_PATH: Final = 2000
"""Characters of a path that a rule with placeholders is about."""
MAX_ADDED: Final = 32 * 1024
"""Characters that `_headers` adds to an answer; what is beyond them is left out."""
STATUSES: Final = frozenset((200, 301, 302, 303, 307, 308))

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PARTS: Final = re.compile(r"(\*|:[A-Za-z]\w*)")
_PLACES: Final = re.compile(r":([A-Za-z]\w*)")
_OUTSIDE: Final = re.compile(r"^/[/\\]+")


class Pattern(NamedTuple):
    """A rule's path, ready to be compared."""

    host: str | None
    expression: re.Pattern[str]

    def match(self, host: str, path: str) -> Mapping[str, str] | None:
        """What its placeholders stand for, if it is about this path."""
        if (self.host is not None and self.host != host) or len(path) > MAX_PATH:
            return None
        found = self.expression.fullmatch(path)
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}


class Redirect(NamedTuple):
    """From a path to a path or a URL; 200 serves that path's file in place of it."""

    pattern: Pattern
    to: str
    status: int


class HeaderRule(NamedTuple):
    """What is set and removed for a path."""

    pattern: Pattern
    changes: tuple[tuple[str, str | None], ...]
    """Names in lower case; None removes the field."""


class Redirects(NamedTuple):
    """All of `_redirects`: exact paths come before patterns."""

    exact: Mapping[str, Redirect] = {}
    patterns: Sequence[Redirect] = ()

    def find(self, host: str, path: str, query: str) -> tuple[int, str] | None:
        """Status and destination for a path."""
        candidates: Iterable[Redirect] = self.patterns
        if path in self.exact:
            candidates = (self.exact[path], *self.patterns)
        for rule in candidates:
            found = rule.pattern.match(host, path)
            if found is not None:
                to = _filled(rule.to, found)
                if rule.to.startswith("/"):
                    to = _OUTSIDE.sub("/", to)  # a placeholder must not make another host of it
                target, hash_, fragment = to.partition("#")
                if query and "?" not in target:
                    target = f"{target}?{query}"
                return rule.status, f"{target}{hash_}{fragment}"
        return None


def pattern(text: str) -> Pattern | None:
    """A path, or a URL in its place. None if it is neither, has two stars, a name twice, or two of them in one part."""
    host, rest = None, text
    if text.startswith("https://"):
        host, slash, rest = text.removeprefix("https://").partition("/")
        rest = slash + rest
    if not rest.startswith("/") or any(len(_PARTS.findall(part)) > 1 for part in rest.split("/")):
        return None
    names: set[str] = set()
    expression = ""
    for part in _PARTS.split(rest):
        name = "splat" if part == "*" else part[1:] if _PARTS.fullmatch(part) else None
        if name is None:
            expression += re.escape(part)
        elif name in names:
            return None
        else:
            names.add(name)
            expression += f"(?P<{name}>{'.*' if part == '*' else '[^/]+'})"
    return Pattern(host.lower() if host is not None else None, re.compile(expression, re.DOTALL))


def _may_be_filled(text: str) -> bool:
    return len(_PLACES.findall(text)) <= MAX_FILLED


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACES.sub(lambda found: values.get(found[1], found[0]), text)


def parse_redirects(text: str) -> tuple[Redirects, list[str]]:
    """The rules of `_redirects`, and what is wrong with it: one sentence for each line."""
    exact: dict[str, Redirect] = {}
    patterns: list[Redirect] = []
    wrong: list[str] = []
    for number, line in _lines(text):
        parts = line.split()
        rule = _redirect(parts)
        if rule is None:
            wrong.append(f"line {number}: write for example /from /to 301")
        elif _PARTS.search(parts[0]) is None:
            if len(exact) < MAX_STATIC:
                exact.setdefault(parts[0], rule)
            else:
                wrong.append(f"line {number}: there are more than {MAX_STATIC} exact paths")
        elif len(patterns) < MAX_DYNAMIC:
            patterns.append(rule)
        else:
            wrong.append(f"line {number}: there are more than {MAX_DYNAMIC} patterns")
    return Redirects(exact, patterns), wrong


def _redirect(parts: list[str]) -> Redirect | None:
    if not 2 <= len(parts) <= 3 or not parts[0].startswith("/"):
        return None
    source, to, status = pattern(parts[0]), parts[1], parts[2] if len(parts) == 3 else "302"
    if source is None or not status.isascii() or not status.isdigit() or int(status) not in STATUSES:
        return None
    inside = to.startswith("/") and not _OUTSIDE.match(to)
    if (
        not _VALUE.fullmatch(to)
        or not _may_be_filled(to)
        or not (inside or (to.startswith(("https://", "http://")) and status != "200"))
    ):
        return None
    return Redirect(source, to, int(status))


def parse_headers(text: str) -> tuple[list[HeaderRule], list[str]]:
    """The rules of `_headers`, and what is wrong with it."""
    rules: list[HeaderRule] = []
    wrong: list[str] = []
    path: Pattern | None = None
    changes: list[tuple[str, str | None]] = []

    def end() -> None:
        if path is not None and changes:
            rules.append(HeaderRule(path, tuple(changes)))
        changes.clear()

    for number, line in _lines(text):
        if line.startswith(("/", "https://")):
            end()
            path = pattern(line)
            if path is None:
                wrong.append(f"line {number}: this path cannot be understood")
            elif len(rules) >= MAX_HEADER_RULES:
                wrong.append(f"line {number}: there are more than {MAX_HEADER_RULES} rules")
                path = None
            continue
        change = _change(line)
        if change is None:
            wrong.append(f"line {number}: write for example X-Frame-Options: DENY")
        elif path is not None:
            changes.append(change)
    end()
    return rules, wrong


def _change(line: str) -> tuple[str, str | None] | None:
    if line.startswith("!"):
        name = line[1:].strip()
        return (name.lower(), None) if _NAME.fullmatch(name) else None
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not value or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        return None
    if not _may_be_filled(value):
        return None
    return name.lower(), value


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#") and len(stripped) <= MAX_LINE:
            yield number, stripped


def changed(
    headers: Iterable[tuple[str, str]], rules: Iterable[HeaderRule], host: str, path: str
) -> tuple[tuple[str, str], ...]:
    """Header fields by all rules for a path: the first that names a field replaces it, later ones add to it."""
    fields = dict(headers)
    own: set[str] = set()
    left = MAX_ADDED
    for name, value in _changes(rules, host, path):
        if value is None:
            fields.pop(name, None)
            own.discard(name)
            continue
        left -= len(name) + len(value)
        if left < 0:
            break
        fields[name] = f"{fields[name]}, {value}" if name in own and name in fields else value
        own.add(name)
    return tuple(fields.items())


def _changes(rules: Iterable[HeaderRule], host: str, path: str) -> Iterator[tuple[str, str | None]]:
    """What the rules for a path say, one after another, filled in."""
    for rule in rules:
        found = rule.pattern.match(host, path)
        for name, value in rule.changes if found is not None else ():
            filled = _VALUE.match(_filled(value, found)) if value is not None and found is not None else None
            yield name, None if value is None else filled[0] if filled else ""


def glob(text: str) -> Callable[[str], bool]:
    """Whether a path is one of `/api/*`: the star stands for anything. In one pass, whatever is written and asked."""
    first, *rest = text.split("*")
    if not rest:
        return text.__eq__
    *middle, last = rest

    def matches(path: str) -> bool:
        at, end = len(first), len(path) - len(last)
        if at > end or not path.startswith(first) or not path.endswith(last):
            return False
        for part in middle:
            at = path.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return matches
