"""What a configuration becomes with what was deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec import structs
from pyworkerd.versions.model import Live, Site, SiteSettings, Version
from pyworkerd.versions.overlay import overlay, plain
from pyworkerd_config.model import Assets, Binding, Config, Limits, Module, Rollout, Service, Worker

FOLDER, SITES = Path("state/versions/shop/files"), Path("state/versions/shop/sites")
ID, OTHER = "0" * 16, "1" * 16
KV = Binding("CACHE", "kv", "cache")
TOKEN = Binding("TOKEN", "secret", "TOKEN_OF_SHOP")
WORKER = Worker(
    Path("shop/w.py"),
    Path("shop"),
    limits=Limits(cpu_ms=7),
    bindings=(KV, Binding("NAME", "text", "old"), Binding("LIST", "json", [1]), TOKEN),
    crons=("* * * * *",),
)
CONFIG = Config(
    services=(Service("shop", WORKER, ("/shop/*",)), Service("other", WORKER)), secrets={"A": "a"}
)


def version(id_: str = ID, **variables: object) -> Version:
    return Version(id_, 1.0, "ci", "", "src/new.ts", dict(variables), 1, 1)


def live(*shares: tuple[Version | None, float], **secrets: str) -> Live:
    return Live("shop", str(FOLDER), str(SITES), shares or ((None, 100.0),), secrets)


def shop(*lives: Live) -> Worker:
    kind = overlay(CONFIG, lives).services[0].kind
    assert isinstance(kind, Worker)
    return kind


def names(worker: Worker) -> dict[str, tuple[str, object]]:
    return {each.name: (each.kind, each.value) for each in worker.bindings}


def test_without_anything_it_is_the_same() -> None:
    assert overlay(CONFIG, ()) is CONFIG
    assert plain(overlay(CONFIG, (live(),))) == CONFIG
    assert overlay(CONFIG, (Live("gone", "x", "y", ((version(), 100.0),)),)) == CONFIG


def test_files_and_vars_are_the_versions_and_all_else_is_the_operators() -> None:
    found = shop(live((version(NAME="new", FLAG=True), 100.0)))
    assert (found.main, found.root) == (FOLDER / ID / "src" / "new.ts", FOLDER / ID)
    assert names(found) == {
        "CACHE": ("kv", "cache"),
        "TOKEN": ("secret", "TOKEN_OF_SHOP"),
        "NAME": ("text", "new"),
        "FLAG": ("json", True),
    }
    assert replace(found, main=WORKER.main, root=WORKER.root, bindings=WORKER.bindings) == WORKER
    listed = replace(WORKER, modules=(Module("w.js", "code", ""),))
    config = overlay(Config(services=(Service("shop", listed),)), (live((version(), 100.0)),))
    assert config.services[0].kind == replace(found, bindings=(KV, TOKEN))
    config = overlay(CONFIG, (live((version(), 100.0)),))
    assert (config.services[0].routes, config.services[0].version) == (("/shop/*",), ID)
    assert config.services[1] == CONFIG.services[1]
    assert config.services[0].configured == WORKER


def test_no_version_takes_a_binding_of_the_operators() -> None:
    assert names(shop(live((version(CACHE="mine", TOKEN="mine"), 100.0))))["CACHE"] == ("kv", "cache")
    assert names(shop(live((version(TOKEN="mine"), 100.0))))["TOKEN"] == ("secret", "TOKEN_OF_SHOP")


def test_nor_the_name_of_its_assets() -> None:
    worker = replace(WORKER, assets=Assets(Path("public"), "FILES"), bindings=())
    config = Config(services=(Service("shop", worker),))
    found = (
        overlay(config, (live((version(FILES="mine", A=1), 100.0), FILES="mine", B="b"),)).services[0].kind
    )
    assert isinstance(found, Worker)
    assert list(names(found)) == ["A", "B"]


def test_a_site_is_the_versions_and_grants_nothing() -> None:
    worker = replace(WORKER, assets=Assets(Path("public"), "OLD", "none"))
    config = Config(services=(Service("shop", worker),))
    settings = SiteSettings("FILES", not_found_handling="404-page", run_worker_first=("/api/*",))

    def deployed(site: Site | None, **variables: object) -> Worker:
        uploaded = structs.replace(version(**variables), site=site)
        kind = overlay(config, (live((uploaded, 100.0)),)).services[0].kind
        assert isinstance(kind, Worker)
        return kind

    found = deployed(Site(settings, 1, 1), FILES="mine", OLD="mine")
    assert found.assets == Assets(
        SITES / ID, "FILES", not_found_handling="404-page", run_worker_first=("/api/*",)
    )
    assert (list(names(found))) == ["CACHE", "TOKEN", "OLD"]
    assert deployed(None).assets == worker.assets
    taken = deployed(Site(SiteSettings("CACHE"), 1, 1))
    assert (taken.assets, names(taken)["CACHE"]) == (Assets(SITES / ID), ("kv", "cache"))


def test_what_was_uploaded_runs_in_the_sandbox_or_not_at_all() -> None:
    trusted = replace(WORKER, isolation="subinterpreter")
    config = Config(services=(Service("shop", trusted),))
    for shares in (
        ((version(), 100.0),),
        ((None, 90.0), (version(), 10.0)),
        ((version(), 90.0), (None, 10.0)),
    ):
        service = overlay(config, (live(*shares, TOKEN="s1"),)).services[0]
        assert isinstance(service.kind, Worker)
        assert (service.kind.main, service.kind.root) == (WORKER.main, WORKER.root)
        assert (service.version, service.rollout, service.configured) == (None, None, trusted)
        assert names(service.kind)["NAME"] == ("text", "old")
        assert "\0" in str(names(service.kind)["TOKEN"][1])


def test_two_versions() -> None:
    service = overlay(CONFIG, (live((None, 90.0), (version(), 10.0)),)).services[0]
    second = shop(live((version(), 100.0)))
    assert (service.kind, service.version) == (WORKER, None)
    assert service.rollout == Rollout(second, ID, 10.0)
    service = overlay(CONFIG, (live((version(), 50.0), (None, 50.0)),)).services[0]
    assert (service.version, service.rollout) == (ID, Rollout(WORKER, "configured", 50.0))


def test_secrets_are_values_of_one_service_and_of_all_its_versions() -> None:
    config = overlay(
        CONFIG, (live((None, 90.0), (version(), 10.0), TOKEN="s1", NAME="s2", CACHE="s3", NEW="s4"),)
    )
    service = config.services[0]
    assert service.rollout is not None
    assert isinstance(service.kind, Worker)
    for worker in (service.kind, service.rollout.worker):
        found = names(worker)
        assert found["CACHE"] == ("kv", "cache")  # a way to something else stays the operator's
        for name, value in (("TOKEN", "s1"), ("NAME", "s2"), ("NEW", "s4")):
            kind, variable = found[name]
            assert kind == "secret"
            assert config.secrets[str(variable)] == value
            assert "\0" in str(variable)  # so that no variable of the environment is taken for it
    assert config.secrets["A"] == "a"
    assert "s1" not in repr(config)
    assert names(config.services[1].kind) == names(WORKER)  # type: ignore[arg-type]


def test_it_takes_the_place_of_what_was_deployed_before() -> None:
    before = overlay(CONFIG, (live((None, 90.0), (version(), 10.0), TOKEN="old", GONE="old"),))
    now = (live((version(OTHER), 100.0), TOKEN="new"),)
    assert overlay(before, now) == overlay(CONFIG, now)
    assert overlay(before, now).secrets == overlay(CONFIG, now).secrets
    assert overlay(before, ()) == plain(before) == CONFIG
    assert plain(before).secrets == CONFIG.secrets
