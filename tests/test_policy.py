"""What the environment lets people do."""

import math

import pytest

from camdrop.checkpoints.metadata import LIMIT
from camdrop.policy import SHARED, Policy, is_local, policy


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch):
    for name in ("SHARED", "MAX_RUNS", "MAX_MINUTES", "KEEP_HOURS", "MAX_SESSIONS", "MAX_MEMORY"):
        monkeypatch.delenv(f"CAMDROP_{name}", raising=False)


def test_on_ones_own_machine_nothing_is_bounded():
    own = policy()
    assert own == Policy() and own.paths and own.keeps and not own.owned and own.server_options == {}
    assert (own.minutes, own.hours, own.sessions, own.memory, own.waiting) == (math.inf,) * 5
    assert own.upload << 20 == LIMIT and own.allows_data("folder:/anywhere")


def test_a_shared_server_bounds_all_and_variables_say_how_much(monkeypatch):
    monkeypatch.setenv("CAMDROP_SHARED", "1")
    assert policy() == SHARED and not (SHARED.paths or SHARED.keeps) and SHARED.owned and SHARED.upload == 64
    assert all(math.isfinite(getattr(SHARED, name)) for name in ("minutes", "hours", "sessions", "memory", "waiting"))
    assert SHARED.server_options["server.enableXsrfProtection"] and SHARED.server_options["server.maxUploadSize"] == 64
    for name, text in (("MAX_RUNS", "2"), ("MAX_MINUTES", "1.5"), ("KEEP_HOURS", "3"), ("MAX_SESSIONS", "30")):
        monkeypatch.setenv(f"CAMDROP_{name}", text)
    said = policy()
    assert (said.runs, said.minutes, said.hours, said.sessions, said.memory) == (2, 1.5, 3, 30, SHARED.memory)
    assert "30 people at once, 2 training at a time for 1.5 minutes" in str(said)


@pytest.mark.parametrize("spec", ["folder:/etc", "imagenet:/data", "../data", "/etc", "~", "C:\\x", "a/b", ".", ""])
def test_no_path_is_a_data_set_there(spec):
    assert not SHARED.allows_data(spec)
    assert SHARED.allows_data("fashion-sample") and SHARED.allows_data("cifar10")


@pytest.mark.parametrize("variable", ["SHARED", "MAX_RUNS", "MAX_MINUTES", "KEEP_HOURS", "MAX_SESSIONS", "MAX_MEMORY"])
@pytest.mark.parametrize("text", ["-1", "many", "nan", "1,5"])
def test_what_is_no_number_is_a_sentence(monkeypatch, variable, text):
    monkeypatch.setenv(f"CAMDROP_{variable}", text)
    with pytest.raises(ValueError, match=f"CAMDROP_{variable} must be "):
        policy()


def test_which_addresses_are_of_this_machine_alone():
    assert all(is_local(host) for host in ("localhost", "127.0.0.1", "127.8.9.1", "::1"))
    others = ("0.0.0.0", "::", "192.168.1.5", "localhost.example.org", "127.0.0.1.example.org", "", "lab")
    assert not any(is_local(host) for host in others)
