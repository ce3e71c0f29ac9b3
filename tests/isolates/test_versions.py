"""Versions are found without `importlib.metadata`, and with it where there is no metadata folder beside the module."""

from importlib.metadata import PackageNotFoundError, version

import pytest
from pyworkerd_isolates.versions import installed_version


@pytest.mark.parametrize(
    ("module", "name"), [("wasmtime", "wasmtime"), ("componentize_py", "componentize-py")]
)
def test_it_is_the_installed_version(module, name):
    assert installed_version(module, name) == version(name)


def test_metadata_that_lies_elsewhere_is_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert installed_version("wasmtime", "wasmtime") == version("wasmtime")


def test_a_package_that_is_not_installed():
    with pytest.raises(PackageNotFoundError):
        installed_version("json", "no-such-distribution")
