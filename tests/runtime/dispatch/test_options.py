"""What a configuration means for a worker's pool."""

from __future__ import annotations

from pyworkerd.dispatch.options import WorkerOptions
from pyworkerd_config.model import Limits


def test_isolates_are_used_again_unless_each_request_gets_its_own() -> None:
    limits = Limits(isolates=3, concurrency=7, queue=5, queue_ms=1500)
    warm, fresh = WorkerOptions(limits).policy(), WorkerOptions(limits, "request").policy()
    assert (warm.isolates, warm.concurrency, warm.fresh) == (3, 7, False)
    assert (fresh.isolates, fresh.concurrency, fresh.fresh) == (7, 1, True)
    assert (warm.queue, warm.queue_s) == (fresh.queue, fresh.queue_s) == (5, 1.5)


def test_without_patience_nothing_waits() -> None:
    policy = WorkerOptions(Limits(queue=5, queue_ms=0)).policy()
    assert policy.queue == 0
    assert policy.queue_s > 0, "a request that can begin at once has not waited too long"
