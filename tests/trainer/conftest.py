"""Tiny networks and few pictures for every run here."""
from __future__ import annotations

import pytest

import tiny


@pytest.fixture(autouse=True)
def small_things(monkeypatch):
    tiny.use_pictures(monkeypatch)
    tiny.use_toy_networks(monkeypatch)


@pytest.fixture
def fake(tmp_path):
    """Makes trainers of one folder whose step is a `tiny.FakeStep`."""
    def make(*settings, name="run", **options):
        trainer = tiny.trainer(tmp_path / name, *settings)
        tiny.FakeStep(trainer, **options)
        return trainer
    return make
