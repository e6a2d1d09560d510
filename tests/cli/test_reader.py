"""The commands that change nothing, by an identity with the role that is shipped for them."""

from __future__ import annotations

import json

import pytest

from tests.cli.fleets import account, write_fleet
from tests.support.chart import ROOT
from tests.support.simulated import Azure, reconcile

READER = ROOT / "deploy" / "azure" / "roles" / "reader.json"


@pytest.fixture(scope="module")
def home(live: Azure, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fleet of which a part is live; from then on whoever asks is a reader."""
    folder = tmp_path_factory.mktemp("desired")
    assert reconcile(live, "once", "--yes", write_fleet(folder, "read", account("aoai-read"))).code == 0
    live.control("PUT", "settings", {"rights_lag": 0.0})
    row = {"scope": f"/subscriptions/{live.subscription}", "actions": json.loads(READER.read_text())["Actions"]}
    live.control("PUT", "rights", {"grants": [row]})
    return write_fleet(folder, "read", account("aoai-read", capacity=20), account("aoai-new"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("once --dry-run {home}", 2),
        ("quota {home}", 0),
        ("deleted {home}", 0),
        ("import --subscription {subscription}", 0),
        ("graph --live {home}", 0),
    ],
)
def test_a_reader_is_refused_nothing(live: Azure, home: str, words: str, code: int) -> None:
    live.forget_requests()
    done = reconcile(live, *words.format(home=home, subscription=live.subscription).split())
    assert done.code == code, done.out + done.err
    assert live.requests() != []
    assert [each for each in live.requests() if each["status"] == 403] == []
    assert live.writes() == []
