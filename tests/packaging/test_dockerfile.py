"""The Dockerfile, read as it will be: stages, user, files. hadolint was run by hand; it is no dependency."""

from __future__ import annotations

import fnmatch
import json
import re

from tests.packaging.markdown import page
from tests.packaging.tree import ROOT

LINES = re.sub(r"\\\n\s*", " ", page("Dockerfile")).splitlines()
STEPS = [line.partition(" ")[::2] for line in LINES if line and not line.startswith("#")]
FINAL = STEPS[max(i for i, (word, _) in enumerate(STEPS) if word == "FROM") :]


def values(word: str) -> list[str]:
    return [rest for step, rest in FINAL if step == word]


def test_the_last_stage_is_slim_and_not_root() -> None:
    ((_, base), *_) = FINAL
    assert "slim" in next(rest for word, rest in STEPS if word == "ARG")
    assert base == "python:${PYTHON}"
    (user,) = values("USER")
    uid, gid = map(int, user.split(":"))
    assert uid >= 10_000
    assert gid >= 10_000


def test_the_engine_is_built_by_the_user_that_will_load_it() -> None:
    words = [(word, rest) for word, rest in FINAL if word in ("USER", "RUN")]
    assert words.index(("RUN", "pyworkerd engine build")) > words.index(("USER", values("USER")[0]))
    home = re.search(r"PYWORKERD_HOME=(\S+)", " ".join(values("ENV")))
    assert home is not None
    assert f"-m 0700 {home[1]}" in " ".join(values("RUN"))


def test_what_it_runs() -> None:
    assert json.loads(values("ENTRYPOINT")[0]) == ["pyworkerd", "serve", "/app/config.toml"]
    assert values("EXPOSE") == ["8787"]
    (check,) = values("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")


def test_what_it_copies_is_there_and_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    copied = [rest.split()[:-1] for word, rest in STEPS if word == "COPY" and not rest.startswith("--from")]
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), source


def test_secrets_are_not_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines.index("**/.dev.vars") > max(i for i, line in enumerate(lines) if line.startswith("!"))
