"""An isolate has died: who is to blame, what its invocations are told, and which of them are run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates.errors import CpuExhausted, Trap

from pyworkerd.errors import InternalError, IsolateLost

from .failures import translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .invocation import Invocation
    from .live import Live
    from .worker import Worker


def blame(
    live: Live, worker: Worker, error: BaseException, suspects: Sequence[Invocation]
) -> list[Invocation]:
    """Say so to whoever was alone in the step that it died in. Returns those that can be run again: suspects each in
    an isolate of its own, so that the culprit convicts itself.
    """
    said = error.said if isinstance(error, Trap) else ()
    answer = translate(error, worker.limits)
    if answer is None:
        live.report(error)
        answer = InternalError("the runtime failed while it ran the worker")
    culprit = suspects[0] if len(suspects) == 1 else None
    for effect in said:
        author = live.invocations.get(effect.invocation)
        if author is None or author is culprit or not author.can_run_again:  # else it will say so again
            live.answers.log(effect)
    if culprit is not None and isinstance(error, CpuExhausted):
        answer = culprit.budget.too_much_cpu()
    work_for = culprit.scope if culprit is not None else None
    worker.log(0, "error", "pyworkerd", f"an isolate ended: {answer}", work_for)
    again: list[Invocation] = []
    for invocation in live.invocations.values():
        if invocation is culprit:
            invocation.fail(answer)
        elif invocation.can_run_again:
            invocation.alone = invocation in suspects
            again.append(invocation)
        else:
            invocation.fail(IsolateLost("its isolate was ended because of another request"))
    return again
