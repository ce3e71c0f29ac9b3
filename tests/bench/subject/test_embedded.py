from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.subject.embedded import Embedded, must_say_hello
from pyworkerd_bench.subject.programs import JAVASCRIPT, PYTHON, TYPESCRIPT, Program
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.protocol import Output, Respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.testing import Sandbox


@pytest.fixture(params=[PYTHON, JAVASCRIPT], ids=["python", "javascript"])
def embedded(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Embedded]:
    """Beside the session's own sandbox, which has built the engine."""
    del sandbox
    with Embedded(request.param) as opened:
        yield opened


def test_every_figure_can_be_taken_again_and_again(embedded: Embedded) -> None:
    for _ in range(2):
        assert embedded.deploy() > 0
        started = embedded.start()
        assert started > 0
        assert embedded.first_step() > 0
        assert embedded.slot_step() > 0
        assert embedded.slot_step() > 0
        assert embedded.new_source() > 0


def test_a_deploy_leaves_nothing_in_the_cache(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    image_of = embedded._image

    def noted(program: Program, source: str) -> Image:
        made.append(image_of(program, source))
        return made[-1]

    monkeypatch.setattr(embedded, "_image", noted)
    embedded.deploy()
    # Others use the cache meanwhile, so only this image is asked about.
    assert not list(Cache().folder.glob(f"{made[0].name}*"))


@pytest.mark.usefixtures("sandbox")
def test_a_deploy_may_be_one_of_another_program_on_the_same_engine() -> None:
    with Embedded(JAVASCRIPT) as embedded:
        assert embedded.deploy(TYPESCRIPT) > 0


def test_an_endless_loop_uses_up_its_limit_and_no_less(embedded: Embedded) -> None:
    assert embedded.runaway() > -0.005


@pytest.mark.parametrize("effects", [[], [Respond(1, 200, (), b"hallo")], [Respond(1, 500, (), b"hello")]])
def test_a_wrong_answer_is_no_figure(effects: list[Respond]) -> None:
    with pytest.raises(BenchError, match="did not answer hello"):
        must_say_hello(Output(None, list(effects)))
