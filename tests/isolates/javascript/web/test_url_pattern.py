"""URLPattern, as the web-platform-tests have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.isolates.javascript.web import wpt

if TYPE_CHECKING:
    from collections.abc import Callable

# As urlpattern/resources/urlpattern.js goes through the data.
MATCH = """
const NAMES = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];
const EARLIER = {
  protocol: [], hostname: ["protocol"], port: ["protocol", "hostname"], username: [], password: [],
  pathname: ["protocol", "hostname", "port"], search: ["protocol", "hostname", "port", "pathname"],
  hash: ["protocol", "hostname", "port", "pathname", "search"],
};

function expected(test, name) {
  if (test.expected_obj && test.expected_obj[name] !== undefined) return test.expected_obj[name];
  if (test.exactly_empty_components?.includes(name)) return "";
  const [first] = test.pattern;
  if (typeof first === "object" && first[name] !== undefined) return first[name];
  if (EARLIER[name].some((other) => other in Object(first))) return "*";
  const base = typeof first === "object" ? first.baseURL : test.pattern[1];
  if (typeof base === "string" && name !== "username" && name !== "password") {
    let value = new URL(base)[name];
    if (name === "protocol") value = value.slice(0, -1);
    if (name === "search" || name === "hash") value = value.slice(1);
    return value;
  }
  return "*";
}

function check(test) {
  let pattern;
  try {
    pattern = new URLPattern(...test.pattern);
  } catch (error) {
    return test.expected_obj === "error" && error instanceof TypeError ? null : `${error}`;
  }
  if (test.expected_obj === "error") return "no error";
  for (const name of NAMES) {
    if (pattern[name] !== expected(test, name)) return `${name} is ${pattern[name]}, not ${expected(test, name)}`;
  }
  if (test.expected_match === "error") {
    try {
      pattern.test(...(test.inputs ?? []));
    } catch (error) {
      return error instanceof TypeError ? null : `${error}`;
    }
    return "no error of matching";
  }
  const match = pattern.exec(...(test.inputs ?? []));
  if (pattern.test(...(test.inputs ?? [])) !== (match !== null)) return "test and exec disagree";
  if (!test.expected_match || typeof test.expected_match !== "object") {
    return match === null ? null : `matched ${JSON.stringify(match)}`;
  }
  if (match === null) return "no match";
  const inputs = test.expected_match.inputs ?? test.inputs;
  if (JSON.stringify(match.inputs) !== JSON.stringify(inputs)) return `inputs ${JSON.stringify(match.inputs)}`;
  for (const name of NAMES) {
    let wanted = test.expected_match[name];
    if (wanted === undefined) {
      const groups = test.exactly_empty_components?.includes(name) ? {} : { 0: "" };
      wanted = { input: "", groups };
    }
    const groups = Object.fromEntries(Object.entries(wanted.groups).map(([key, value]) => [key, value ?? undefined]));
    if (match[name].input !== wanted.input) return `${name} of ${match[name].input}, not ${wanted.input}`;
    const keys = new Set([...Object.keys(groups), ...Object.keys(match[name].groups)]);
    for (const key of keys) {
      if (groups[key] !== match[name].groups[key]) return `group ${key} of ${name}: ${match[name].groups[key]}`;
    }
  }
  return null;
}
return cases.map(check);
"""


def test_patterns(run: Callable[..., Any]) -> None:
    cases = wpt.cases("urlpatterntestdata")
    names = [
        f"{i}: {json.dumps(case['pattern'])} on {json.dumps(case.get('inputs'))}"
        for i, case in enumerate(cases)
    ]
    wpt.check("urlpatterntestdata", dict(zip(names, run(MATCH, cases=cases), strict=True)))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("new URLPattern({ pathname: '/a/:id' }).exec('https://x/a/5').pathname.groups.id", "5"),
        ("new URLPattern('/a/*', 'https://x').test(new URL('https://x/a/b'))", True),
        ("new URLPattern({ pathname: '/A' }, { ignoreCase: true }).test('https://x/a')", True),
        ("new URLPattern({ pathname: '/A' }).test('https://x/a')", False),
        ("new URLPattern({ pathname: '/(a|b)' }).hasRegExpGroups", True),
        ("new URLPattern({ pathname: '/:a' }).hasRegExpGroups", False),
        ("new URLPattern().test('https://x/any')", True),
        (
            "new URLPattern({ hostname: '*.example.com' }).exec({ hostname: 'a.example.com' }).hostname.groups[0]",
            "a",
        ),
    ],
)
def test_what_it_gives(run: Callable[..., Any], expression: str, expected: object) -> None:
    assert run(f"return {expression};") == expected


@pytest.mark.parametrize(
    "expression",
    [
        "new URLPattern('/relative')",
        "new URLPattern({ pathname: '/:a/:a' })",
        "new URLPattern({ pathname: '/(' })",
        "new URLPattern({ pathname: '/a' }, 'https://x')",
        "new URLPattern({}).test({}, 'https://x')",
        "new URLPattern({ baseURL: 'nonsense' })",
    ],
)
def test_what_it_refuses(run: Callable[..., Any], expression: str) -> None:
    assert run(f"try {{ {expression}; return 'accepted'; }} catch (e) {{ return e.name; }}") == "TypeError"
