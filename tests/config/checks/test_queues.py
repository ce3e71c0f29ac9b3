"""Checks of queues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyworkerd_config import check
from pyworkerd_config.model import Binding, Config, Place, Queue, Service, Worker


def config(*queues: Queue, binding: str | None = None) -> Config:
    bindings = () if binding is None else (Binding("JOBS", "queue", binding, place=Place(None, 9)),)
    return Config(
        queues=queues,
        services=(
            Service("shop", Worker(Path("a.py"), Path(), bindings=bindings, global_outbound=None)),
            Service("mailer", Worker(Path("b.py"), Path(), global_outbound=None)),
        ),
    )


def messages(of: Config) -> list[str]:
    return [str(problem) for problem in check(of)]


def test_a_queue_that_connects_two_workers() -> None:
    jobs = Queue("jobs", ("shop",), "mailer", dead_letter_queue="failed")
    assert messages(config(jobs, Queue("failed"), binding="jobs")) == []


def test_names_that_lead_nowhere() -> None:
    jobs = Queue("jobs", ("shpo",), "mailr", dead_letter_queue="jbos")
    assert messages(config(jobs, binding="job")) == [
        '<config>: unknown worker "shpo": did you mean "shop"?',
        '<config>: unknown worker "mailr": did you mean "mailer"?',
        '<config>: unknown queue "jbos": did you mean "jobs"?',
        '<config>:9: there is no queue "job": did you mean "jobs"?',
    ]


def test_who_is_no_producer_may_not_bind_it_and_no_queue_is_its_own_end() -> None:
    jobs = Queue("jobs", ("mailer",), dead_letter_queue="jobs", place=Place(None, 3))
    assert messages(config(jobs, Queue("jobs"), binding="jobs")) == [
        "<config>:3: what a queue gives up cannot come into the same queue: name another queue",
        '<config>: two queues are named "jobs": rename one',
        (
            '<config>:9: "shop" is not among the producers of the queue "jobs": '
            "add it to the queue's producers (<config>)"
        ),
    ]


def test_what_fails_for_good_does_not_go_in_a_circle() -> None:
    a = Queue("a", consumer="shop", dead_letter_queue="b", place=Place(None, 3))
    b = Queue("b", consumer="shop", dead_letter_queue="c", place=Place(None, 5))
    c = Queue("c", consumer="shop", dead_letter_queue="b", place=Place(None, 7))
    assert messages(config(a, b, c)) == [
        "<config>:5: what a queue gives up comes back to it: b, c, b: name another queue",
        "<config>:7: what a queue gives up comes back to it: c, b, c: name another queue",
    ]
    assert messages(config(a, b, replace(c, consumer=None))) == [], "there it stays"
    assert messages(config(a, b, replace(c, dead_letter_queue=None))) == []


def test_numbers_out_of_range() -> None:
    jobs = Queue("jobs", max_batch_size=0, max_retries=101, retry_delay=-1)
    assert messages(config(jobs)) == [
        "<config>: max_batch_size must be between 1 and 100, found 0: write for example max_batch_size = 100",
        "<config>: max_retries must be between 0 and 100, found 101: write for example max_retries = 100",
        "<config>: retry_delay must be between 0 and 86,400, found -1: write for example retry_delay = 86400",
    ]
