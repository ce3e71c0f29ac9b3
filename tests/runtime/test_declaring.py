"""Nothing that a configuration says can become more than a name and a type."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.declaring import PYTHON, TYPESCRIPT, declarations, env_name
from pyworkerd_config.model import Assets, Binding, Config, Service, Worker


def worker(main: str, *bindings: Binding, assets: Assets | None = None) -> Worker:
    return Worker(Path("/p") / main, Path("/p"), bindings=bindings, assets=assets)


def config(**workers: Worker) -> Config:
    return Config(services=tuple(Service(name, kind) for name, kind in workers.items()))


def declared(*configs: Config) -> dict[str, str]:
    return declarations(configs, Path("/p"))


def env_of(text: str, name: str) -> list[str]:
    found = re.search(rf"interface {name} {{(?:\n(.*?)\n)?}}", text, re.DOTALL)
    assert found is not None, text[-500:]
    return [line.strip() for line in (found[1] or "").splitlines()]


def test_what_typescript_workers_have() -> None:
    made = declared(
        config(
            site=worker(
                "src/site.ts",
                Binding("NAME", "text", "x"),
                Binding("AUTH", "service", "auth"),
                Binding("ADMIN", "service", "auth", {"entrypoint": "Admin"}),
                Binding("WORDS", "service", "words"),
                Binding("NET", "service", "internet"),
                Binding("ROOMS", "durable_object", "Room"),
                Binding("OTHERS", "durable_object", "Other", {"service_name": "words"}),
                Binding("odd-name", "kv", "x"),
                Binding("NEW", "not yet known", "x"),
                assets=Assets(Path("/p/public"), binding="ASSETS"),
            ),
            auth=worker("auth/index.ts"),
            words=worker("words.py"),
        )
    )
    assert set(made) == {TYPESCRIPT, PYTHON}
    assert env_of(made[TYPESCRIPT], "SiteEnv") == [
        'ADMIN: Service<typeof import("./auth/index").Admin>;',
        'AUTH: Service<typeof import("./auth/index").default>;',
        "NAME: string;",
        "NET: AnyService;",
        "NEW: any;",
        "OTHERS: DurableObjectNamespace;",
        'ROOMS: DurableObjectNamespace<import("./src/site").Room>;',
        "WORDS: AnyService;",
        '"odd-name": KVNamespace;',
        "ASSETS: Fetcher;",
    ]
    assert env_of(made[TYPESCRIPT], "AuthEnv") == []
    assert "type Env" not in made[TYPESCRIPT]
    assert "type Env = OneEnv;" in declared(config(one=worker("one.js")))[TYPESCRIPT]


def test_workers_in_python_share_one_class() -> None:
    first = config(a=worker("a.py", Binding("X", "kv", "x"), Binding("Y", "text", "")))
    second = config(
        a=worker("a.py", Binding("X", "kv", "x")),
        b=worker("b.py", Binding("Y", "d1", "y"), Binding("not-an-identifier", "kv", "x")),
        c=worker("c.py", *(Binding(name, "kv", "x") for name in ("class", "None", "__getitem__", "a b"))),
    )
    made = declared(first, second)
    assert set(made) == {PYTHON}
    env = made[PYTHON].partition("class Env:")[2]
    assert re.findall(r"^    (\w+): (.+)$", env, re.MULTILINE) == [("X", "KVNamespace"), ("Y", "Any")]
    ast.parse(made[PYTHON])


def test_nothing_is_declared_for_programs() -> None:
    assert declared(config(a=worker("a.wasm"))) == declared() == {}


@pytest.mark.parametrize(
    ("service", "name"),
    [("user-data", "UserDataEnv"), ("a", "AEnv"), ("2nd", "_2ndEnv"), ("\N{SNOWMAN}", "Env")],
)
def test_names(service: str, name: str) -> None:
    assert env_name(service) == name


@settings(max_examples=40)  # each reads the whole stub
@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_name_can_say_more_than_a_name(service: str, binding: str, main: str) -> None:
    """A configuration that somebody else wrote is turned into a file that an editor reads."""
    path = main.replace("/", "").replace("\0", "") or "x"
    bound = (Binding(binding, "text", ""), Binding("OTHER", "service", service, {"entrypoint": binding}))
    for suffix in (".ts", ".py"):
        made = declared(config(**{service: worker(path + suffix, *bound)}))
        if suffix == ".py":
            tree = ast.parse(made[PYTHON])
            (env,) = (each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == "Env")
            fields = [each for each in env.body if isinstance(each, ast.AnnAssign)]
            assert len(fields) <= 2
        else:
            lines = made[TYPESCRIPT].removeprefix(
                declared(config(x=worker("x.ts")))[TYPESCRIPT].split("// What the")[0]
            )
            first, _, *rest = lines.split("\n")
            assert first.startswith("// What the worker ")
            quoted = r'"(?:[^"\\]|\\u\{[0-9a-f]+\})*"'
            value = rf"string|AnyService|Service<typeof import\({quoted}\)\.[\w$]+>"
            shape = rf"  (?:[\w$]+|{quoted}): (?:{value});"
            assert all(re.fullmatch(shape, line) for line in rest if line.startswith("  ")), lines
