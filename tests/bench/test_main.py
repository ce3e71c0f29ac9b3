from __future__ import annotations

import pytest
from pyworkerd.cli.bench import BENCHMARKS
from pyworkerd_bench.__main__ import main


def test_each_benchmark_reads_its_own_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    for name in BENCHMARKS:
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"pyworkerd bench {name}" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--help"], 0), (["speed"], 2)])
def test_without_a_benchmark_it_names_them(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert main(arguments) == status
    assert ",".join(BENCHMARKS) in capsys.readouterr().err
