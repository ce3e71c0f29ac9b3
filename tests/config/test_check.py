"""The golden table of problems, and checks of models that no file could have given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyworkerd_config import (
    BINDING_KINDS,
    Binding,
    BindingKind,
    Config,
    ConfigError,
    Place,
    Service,
    Socket,
    Worker,
    check,
    parse_toml,
    with_internet,
)
from pyworkerd_config.problems import MAX_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Place(Path("config.toml"))
GOLDEN = Path(__file__).parent / "data" / "problems.txt"


def golden_cases() -> list[tuple[str, str]]:
    """`=== case`, a configuration, `--- problems`, the exact messages."""
    cases = GOLDEN.read_text().split("=== case\n")[1:]
    return [(text, problems.strip()) for text, problems in (case.split("\n--- problems\n") for case in cases)]


@pytest.mark.parametrize(("text", "problems"), golden_cases())
def test_problems(text: str, problems: str) -> None:
    try:
        found = "\n".join(map(str, check(parse_toml(text, PLACE))))
    except ConfigError as error:
        found = str(error)
    assert found == problems


def with_binding(*bindings: Binding) -> Config:
    worker = Worker(Path("a.py"), Path(), bindings=bindings)
    return with_internet(Config(services=(Service("a", worker, place=Place(None, 7)),)))


def messages(config: Config) -> list[str]:
    return [str(problem) for problem in check(config)]


def test_a_sound_model_has_no_problems() -> None:
    assert messages(with_binding(Binding("A", "text", "x"), Binding("B", "service", "internet"))) == []


def test_two_bindings_of_one_name() -> None:
    config = with_binding(Binding("A", "text", "x"), Binding("A", "text", "y"))
    assert messages(config) == ['<config>: two bindings are named "A": rename one']


def test_options_and_kinds_that_do_not_exist() -> None:
    config = with_binding(
        Binding("A", "text", "x", {"props": 1}),
        Binding("B", "service", "a", {"entripoint": "x"}),
        Binding("C", "workflow", "x"),
        Binding("D", "txt", "x"),
    )
    assert messages(config) == [
        '<config>: a text binding has no "props": leave it out',
        '<config>: a service binding has no "entripoint": did you mean "entrypoint"?',
        '<config>: "workflow" bindings are not in this version yet: leave it out',
        '<config>: unknown binding kind "txt": did you mean "text"?',
    ]


def test_the_caller_says_which_kinds_there_are() -> None:
    config = with_binding(Binding("C", "workflow", "x"))
    assert (
        check(config, {**BINDING_KINDS, "workflow": BindingKind("store", 'NAME = { workflow = "shop" }')})
        == []
    )


def test_an_expression_that_is_none() -> None:
    config = with_binding()
    service = config.services[0]
    assert isinstance(service.kind, Worker)
    crons = replace(service, kind=replace(service.kind, crons=("* * * * *", "0 0 * * 0")))
    assert messages(replace(config, services=(crons, *config.services[1:]))) == [
        "<config>:7: '0 0 * * 0': 0 is no day of the week: write 1 (Sunday) to 7, as in Workers, or SUN to SAT"
    ]


def test_tails_are_other_workers_each_once() -> None:
    config = with_binding()
    service = config.services[0]
    assert isinstance(service.kind, Worker)

    def with_tails(*tails: str) -> Config:
        tailed = replace(service, kind=replace(service.kind, tails=tails))
        return replace(config, services=(tailed, *config.services[1:]))

    assert messages(with_tails(service.name)) == []
    assert [
        message.split(": ", 1)[1] for message in messages(with_tails("nobody", "internet", "internet"))
    ] == [
        'unknown service "nobody": there are "a" and "internet"',
        'the service "internet" is no worker: a tail is a worker with a tail handler',
        'the service "internet" is no worker: a tail is a worker with a tail handler',
        '"internet" stands in tails twice: leave one of them out',
    ]
    assert "10 tail workers at most, found 11" in messages(with_tails(*(f"t{i}" for i in range(11))))[0]


def test_without_internet_the_default_outbound_leads_nowhere() -> None:
    worker = Worker(Path("a.py"), Path())
    assert messages(Config(services=(Service("a", worker),))) == [
        '<config>: unknown service "internet": there are "a"'
    ]


def test_a_mistake_made_ten_thousand_times_is_told_a_hundred_times() -> None:
    sockets = tuple(Socket(f"s{i}", "nowhere", "a") for i in range(10_000))
    assert len(check(Config(sockets=sockets))) == MAX_PROBLEMS


class Counted(tuple[Service, ...]):
    """Services that know how often somebody went through them."""

    __slots__ = ()
    times = 0

    def __iter__(self) -> Iterator[Service]:
        type(self).times += 1
        return super().__iter__()


def test_services_are_gone_through_as_often_however_many_there_are() -> None:
    def times(number: int) -> int:
        Counted.times = 0
        workers = [Service(f"w{i}", Worker(Path(f"w{i}.py"), Path(), tails=("w0",))) for i in range(number)]
        services = with_internet(Config(services=tuple(workers))).services
        assert messages(Config(services=Counted(services))) == []
        return Counted.times

    assert times(50) == times(2)
