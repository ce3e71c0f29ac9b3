"""Declarations say what the SDKs have, and nothing that a configuration says can become more than a type."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd import declaring
from pyworkerd.declaring import PYTHON, TYPES, TYPESCRIPT, declarations, env_name
from pyworkerd_config.kinds import BINDING_KINDS
from pyworkerd_config.model import Assets, Binding, Config, Service, Worker

from tests.packaging.tree import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

GUEST = PACKAGES["pyworkerd_isolates"] / "python/guest"
STUB = (PACKAGES["pyworkerd"] / "declarations/workers.pyi").read_text()
SCRIPT = (PACKAGES["pyworkerd"] / "declarations/runtime.d.ts").read_text()
ONLY_TYPES = {
    "AlarmInvocationInfo", "AnalyticsEngineDataset", "Cache", "CacheStorage", "D1Database", "D1DatabaseSession",
    "D1PreparedStatement", "DurableObjectNamespace", "DurableObjectState", "DurableObjectStorage",
    "DurableObjectStub", "DurableObjectTransaction", "Fetcher", "Hello", "KVNamespace", "MessageBatch", "Queue",
    "QueueMessage", "R2Bucket", "R2MultipartUpload", "R2Object", "R2ObjectBody", "RateLimit", "ScheduledController",
    "SqlStorage", "SqlStorageCursor", "SyncKvStorage", "TestController", "WorkerLoader", "WorkerStub",
}  # fmt: skip
"""Names that a worker can annotate with, and not import when it runs."""
UNSAID = {"BodyStream": {"of"}, "FormData": {"items", "keys", "to_multipart", "values"}}
"""Methods that only the SDK itself calls, or that a base outside of it has."""
INSTANCES = {"env", "caches"}


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


def test_every_kind_of_binding_has_its_types() -> None:
    assert set(TYPES) == set(BINDING_KINDS)
    for python, typescript in (*TYPES.values(), declaring.ASSETS):
        assert python in {"str", "bytes", "Any"} or f"class {python}" in STUB
        assert typescript in {"string", "any", "Uint8Array"} or re.search(
            rf"(interface|class) {typescript}\b", SCRIPT
        )


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


def classes(trees: Iterable[ast.Module]) -> dict[str, set[str]]:
    """Public methods and properties of classes, with what they have from bases of the same files."""
    own: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for tree in trees:
        for each in tree.body:
            if isinstance(each, ast.ClassDef):
                names: set[str] = set()
                for node in each.body:
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                        names.add(node.name)
                    elif isinstance(node, ast.Assign):
                        names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
                    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                        names.add(node.target.id)
                own[each.name] = {name for name in names if not name.startswith("_")}
                bases[each.name] = [base.id for base in each.bases if isinstance(base, ast.Name)]

    def whole(name: str) -> set[str]:
        return own[name].union(*(whole(base) for base in bases[name] if base in own))

    return {name: whole(name) for name in own}


def test_the_stub_has_every_name_of_the_sdk_and_every_method() -> None:
    sources = {path.stem: ast.parse(path.read_text()) for path in (GUEST / "workers").glob("*.py")}
    stub = ast.parse(STUB)
    exported = next(
        ast.literal_eval(node.value)
        for node in sources["__init__"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    named = {
        n.name for n in stub.body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named |= {
        n.target.id for n in stub.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    assert set(exported) <= named | INSTANCES
    assert {name for name in named - set(exported) if not name.startswith("_")} == ONLY_TYPES
    queue = sources.pop("queue")  # its messages have a name that bodies have as well
    told = classes([stub])
    own = {**classes(sources.values()), **classes([queue])}
    missing = {
        name: methods - told[name] - UNSAID.get(name, set())
        for name, methods in own.items()
        if name in told and name != "Message"
    }
    assert {name: methods for name, methods in missing.items() if methods} == {}
    assert classes([queue])["Message"] <= told["QueueMessage"]
