"""Wrangler's files, read into the model and printed in the words of `config.toml`: a corpus, and what is told of it."""

# ruff: noqa: E501 - the sentences are the program's

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Config, ConfigError, Place, Worker, check, parse_toml, to_toml
from pyworkerd_config.wrangler.reader import parse_wrangler

CORPUS = Path(__file__).parents[1] / "data" / "wrangler"
EXPECTED = ".expected.toml"


def read(name: str, environment: str | None = None, *secrets: str) -> Config:
    path = CORPUS / name
    return parse_wrangler(path.read_text(), Place(path), environment=environment, secrets=secrets)


def parse(text: str, environment: str | None = None, *secrets: str) -> Config:
    return parse_wrangler(text, Place(Path("wrangler.toml")), environment=environment, secrets=secrets)


def fault(text: str, environment: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, environment)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("article.toml", None), ("everything.jsonc", None), ("environments.toml", None),
        ("environments.toml", "production"), ("environments.toml", "named"),
    ],
)  # fmt: skip
def test_the_corpus(name: str, environment: str | None) -> None:
    config = read(name, environment)
    stem = name.partition(".")[0] + (f".{environment}" if environment else "")
    printed = to_toml(config)
    assert printed == (CORPUS / f"{stem}{EXPECTED}").read_text()
    assert parse_toml(printed, Place(CORPUS / name)) == config, "the same model, in the other dialect"


def test_what_means_nothing_here_is_told_with_its_reason() -> None:
    told = [str(warning).removeprefix(f"{CORPUS}/") for warning in read("everything.jsonc").warnings]
    assert sorted(told) == [
        'everything.jsonc:13: "jurisdiction" means nothing here: it is about Cloudflare\'s own network',
        'everything.jsonc:22: "migrations" means nothing here: storage of a class begins with its first object; a class that was renamed begins anew',
        'everything.jsonc:30: "inspector_port" means nothing here: there is no debugger',
        'everything.jsonc:31: "observability" means nothing here: logs and metrics are always there',
        'everything.jsonc:32: "ai" means nothing here: there is no such service here, and the binding is missing on env',
        'everything.jsonc:33: unknown key "observabilty": did you mean "observability"?',
        'everything.jsonc:7: "account_id" means nothing here: it is about Cloudflare\'s own network',
    ]


def test_only_other_workers_are_missing_in_the_corpus() -> None:
    assert {problem.message for problem in check(read("everything.jsonc"))} == {
        'unknown service "auth"', 'unknown service "chat"', 'unknown service "watch"',
    }  # fmt: skip
    for environment in (None, "production", "named"):
        assert check(read("environments.toml", environment)) == []


def test_local_secrets_are_bindings_and_take_the_place_of_variables() -> None:
    worker = read("environments.toml", None, "STAGE", "TOKEN").services[0].kind
    assert [(b.name, b.kind, b.value) for b in worker.bindings] == [  # type: ignore[union-attr]
        ("STAGE", "secret", "STAGE"), ("DEBUG", "text", "yes"), ("CACHE", "kv", "test"), ("TOKEN", "secret", "TOKEN"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("main = 1", ['wrangler.toml:1: "main" must be a text, found an integer: write for example main = "src/index.ts"']),
        (
            'main = "a.ts"\nkv_namespaces = [{ id = "x" }]\n[vars]\nD = 2026-01-01',
            [
                'wrangler.toml:2: a KV namespace needs "binding": write for example binding = "CACHE"',
                'wrangler.toml:4: "D" must be what JSON can hold, found a date: write for example [vars]',
                'GREETING = "hello"',
            ],
        ),
        ('main = "a.ts"\nqueues = { producers = 1 }', [
            'wrangler.toml:2: "producers" must be a list of tables, found an integer: write for example [[queues.producers]]'
        ]),
        ('main = "a.ts"\n[[queues.consumers]]\nqueue = "q"\n[[queues.consumers]]\nqueue = "q"\nmax_retries = 1', [
            'wrangler.toml:4: a second consumer of queue "q": leave one of the two out'
        ]),
        ('main = "a.ts"\nvars = 1', [
            'wrangler.toml:2: "vars" must be a table, found an integer: write for example [vars]', 'GREETING = "hello"',
        ]),
        ('main = "a.ts"\nroutes = 1', [
            'wrangler.toml:2: "routes" must be a list, found an integer: write for example routes = ["shop.example.com/*"]'
        ]),
        ('[[services]]\nroute = "/a/*"', [
            'wrangler.toml: the file has no worker: write for example main = "src/index.ts"',
            'wrangler.toml:1: a service needs "binding" or "name": write for example binding = "AUTH"',
        ]),
        ('main = "a.ts"\nratelimits = [{ name = "L", simple = { limit = 1 } }]', [
            'wrangler.toml:2: a rate limit needs "period": write for example period = 60'
        ]),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, messages: list[str]) -> None:
    assert fault(text) == messages


def test_null_is_told_as_such() -> None:
    text = '{ "main": null,\n"vars": { "A": { "b": [null] } } }'
    with pytest.raises(ConfigError) as caught:
        parse_wrangler(text, Place(Path("wrangler.json")))
    assert str(caught.value).splitlines() == [
        'wrangler.json:1: "main" must be a text, found null: write for example main = "src/index.ts"',
        'wrangler.json:2: item 1 of "b" is null, which no binding can hold: leave it out',
    ]


def test_environments_that_are_not_there() -> None:
    text = 'main = "a.ts"\n[env.production]\n'
    assert fault(text, "prodution") == [
        'wrangler.toml: there is no environment "prodution": did you mean "production"?'
    ]
    assert fault('main = "a.ts"', "x") == ['wrangler.toml: there is no environment "x": the file has none']


@pytest.mark.parametrize(
    ("route", "routes"),
    [
        ('"a.example.com/x"', ["a.example.com/x"]),
        ('"*.example.com/*"', ["*.example.com/*"]),
        ('"*example.com/*"', ["example.com/*", "*.example.com/*"]),
        ('{ pattern = "a.example.com", custom_domain = true }', ["a.example.com/*"]),
        ('{ pattern = "a.example.com/*", zone_name = "example.com" }', ["a.example.com/*"]),
    ],
)
def test_routes(route: str, routes: list[str]) -> None:
    config = parse(f'name = "w"\nmain = "a.ts"\nroute = {route}')
    assert list(config.services[0].routes) == [*routes, "/*"], (
        "what no route takes is the file's own worker's"
    )


SEVERAL = """\
name = "front"
main = "front.ts"
vars = { GREETING = "hello" }
kv_namespaces = [{ binding = "CACHE", id = "c" }]

[[services]]
name = "user-data"
bindings = []

[[services]]
name = "catalog"
bindings = ["CACHE", "user_data"]

[[services]]
name = "open"
"""


def env_of(config: Config) -> dict[str, list[str]]:
    return {
        service.name: [binding.name for binding in service.kind.bindings]
        for service in config.services
        if isinstance(service.kind, Worker)
    }


def test_each_worker_of_a_file_may_say_which_bindings_it_has() -> None:
    config = parse(SEVERAL)
    assert env_of(config) == {
        "front": ["user_data", "catalog", "open", "GREETING", "CACHE"],
        "user-data": [],
        "catalog": ["CACHE", "user_data"],
        "open": ["GREETING", "CACHE"],
    }
    front = config.services[0].kind
    assert isinstance(front, Worker)
    assert (front.bindings[0].kind, front.bindings[0].value) == ("service", "user-data")
    assert check(config) == []


@pytest.mark.parametrize(
    ("main", "expected"),
    [('main = "a.ts"\n', {"shop": ("* * * * *",), "auth": ()}), ("", {"auth": ("* * * * *",)})],
)
def test_crons_are_the_own_workers_or_else_all_workers(
    main: str, expected: dict[str, tuple[str, ...]]
) -> None:
    text = (
        f'name = "shop"\n{main}[[services]]\nname = "auth"\nmain = "b.ts"\n[triggers]\ncrons = ["* * * * *"]'
    )
    config = parse(text)
    assert {
        each.name: each.kind.crons for each in config.services if isinstance(each.kind, Worker)
    } == expected


def test_what_is_written_goes_before_the_names_of_workers() -> None:
    text = SEVERAL.replace('GREETING = "hello"', 'catalog = "a text"')
    front = parse(text).services[0].kind
    assert isinstance(front, Worker)
    assert [(b.kind, b.value) for b in front.bindings if b.name == "catalog"] == [("text", "a text")]


def test_a_binding_that_the_file_has_not_is_named() -> None:
    assert fault(SEVERAL.replace('"CACHE", "user', '"CASHE", "user')) == [
        'wrangler.toml:12: there is no binding "CASHE": did you mean "CACHE"?'
    ]


def test_environments_have_the_workers_of_the_file_with_their_own_variables_and_stores() -> None:
    service = '[[services]]\nbinding = "ELSEWHERE"\nservice = "elsewhere"\n'
    text = f'{SEVERAL}{service}[env.production]\nkv_namespaces = [{{ binding = "CACHE", id = "p" }}]\n'
    assert env_of(parse(text, "production")) == {
        "front-production": ["user_data", "catalog", "open", "CACHE"],
        "user-data": [],
        "catalog": ["CACHE", "user_data"],
        "open": ["CACHE"],
    }
    own = f'{text}[[env.production.services]]\nname = "alone"\n'
    assert list(env_of(parse(own, "production"))) == ["front-production", "alone"]
    assert fault(SEVERAL + "[env.production]\n", "production") == [
        'wrangler.toml:12: there is no binding "CACHE": the file has "user_data", "catalog" and "open"'
    ]


def test_a_file_and_each_of_its_workers_may_have_no_network() -> None:
    entries = '[[services]]\nname = "a"\n[[services]]\nname = "b"\nglobal_outbound = "a"\n'
    text = f'name = "front"\nmain = "front.ts"\n{entries}'

    def outbound(text: str) -> list[str | None]:
        config = parse(text)
        return [each.kind.global_outbound for each in config.services if isinstance(each.kind, Worker)]

    assert outbound(text) == ["internet", "internet", "a"]
    assert outbound(f"{text}[pyworkerd]\nglobal_outbound = false\n") == [None, None, "a"]
    assert outbound(text.replace('"a"\n', '"a"\nglobal_outbound = false\n', 1)) == ["internet", None, "a"]
    assert fault(f"{text}[pyworkerd]\nglobal_outbound = true\n") == [
        'wrangler.toml:9: "global_outbound" must be the name of a service or false: write global_outbound = false'
    ]


def test_a_store_with_an_id_lies_where_it_lies_whoever_comes_to_bind_it() -> None:
    def stores(*rows: str) -> list[tuple[str, str, tuple[str, ...]]]:
        config = parse('name = "w"\nmain = "w.py"\n' + "\n".join(rows))
        return [(store.kind, store.name, store.workers) for store in config.stores]

    assert stores('kv_namespaces = [{ binding = "A", id = "x" }]') == [("kv", "x", ("w",))]
    assert stores('kv_namespaces = [{ binding = "A", id = "A" }]') == [("kv", "A", ("w",))]
    assert stores('r2_buckets = [{ binding = "A", bucket_name = "x" }]') == [("r2", "x", ("w",))]
    assert stores('d1_databases = [{ binding = "A", database_id = "x" }]') == [("d1", "x", ("w",))]
    assert stores("[vars]", 'A = "d1:x"') == [("d1", "x", ("w",))]
    assert stores('kv_namespaces = [{ binding = "A" }]') == [], "without one it is the worker's own"
    both = ('kv_namespaces = [{ binding = "A" }]', "[[services]]", 'name = "v"', 'main = "v.py"')
    assert stores(*both) == [("kv", "A", ("w", "v"))], "unless the file has several workers that bind it"
