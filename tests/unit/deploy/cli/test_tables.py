"""Tables and texts of commands that need servers, from rows made here."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.deploy.cli import context, stack, verify
from optionstream.deploy.cli.bars import print_bars
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.topics import REJECTS, Namespace
from optionstream.streams.verify import Comparison, Difference


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_status_fits_80_columns_and_says_where_logs_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = "mongodb://127.0.0.1:27017/?replicaSet=rs0"
    server = {"server": "mongo", "health": "ready", "mode": "native", "address": address}
    worker = {"namespace": "live", "worker": "history", "state": "running", "pid": 1234567}
    lag = {"group": "history", "topic": "market.underlying", "lag": 12_345_678, "members": 1}
    stack._print_status(
        [{**server, "pid": 1234567, "detail": "no primary"}],
        [{**worker, "restarts": 0, "log": "/data/live/history.log"}],
        [lag],
        Namespace("live"),
    )
    lines = shown(capsys)
    assert "mongo: no primary" in lines
    assert "log of history in live: /data/live/history.log" in lines
    assert "Consumer lag, namespace live" in lines
    assert max(map(len, lines)) <= 80


def comparison(differences: list[Difference]) -> Comparison:
    totals = {"mongo_bars missing": len(differences)} if differences else {}
    return Comparison("one", "two", {"bars": 3}, differences, totals)


def test_a_comparison_without_difference_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    verify._print_comparison(comparison([]))
    lines = shown(capsys)
    assert lines[0] == "one against two"
    assert lines[-1] == "no difference"


def test_each_difference_is_its_place_and_both_values(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "x" * 400
    verify._print_comparison(comparison([Difference("missing", "mongo_bars", "NIFTY", wide)] * 30))
    lines = shown(capsys)
    at = lines.index("the first 20:")
    assert lines[at + 1 : at + 4] == [
        "missing  mongo_bars  NIFTY",
        f"    two: {'x' * 300}…",
        "    one: –",
    ]
    assert len(lines) - at - 1 == 3 * 20


def test_bars_of_the_interface_are_grouped_by_product(capsys: pytest.CaptureFixture[str]) -> None:
    bar: dict[str, Any] = {"interval": "15m", "start": "2026-01-06T15:15:00+05:30", "ticks": 1}
    prices = dict.fromkeys(("open", "high", "low", "close"), 60_513.45) | {"volume": 3_970_655}
    print_bars([{**bar, **prices, "product": name} for name in ("NIFTY", "BANKNIFTY")])
    lines = shown(capsys)
    assert [line for line in lines if "bars" in line] == [
        "NIFTY, 15m bars, date 2026-01-06",
        "BANKNIFTY, 15m bars, date 2026-01-06",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nobodys", "there is no namespace nobodys; there are: live, october .*replay --namespace"),
        ("sim", "there is no namespace sim; .*up --namespace sim` creates it"),
        ("october", "namespace october lacks the topics replay.october.rejects: .*replay"),
    ],
)
def test_a_namespace_that_is_not_there_is_named_with_what_creates_it(
    name: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optionstream.streams.kafka import admin

    topics = {"market.underlying": 3, "rejects": 3, "replay.october.market.underlying": 3}
    monkeypatch.setattr(admin, "admin_client", lambda kafka: kafka)
    monkeypatch.setattr(admin, "partition_counts", lambda client: topics)
    with pytest.raises(NamespaceError, match=complaint):
        context.require_namespace("kafka", Namespace.parse(name), (REJECTS,))
    context.require_namespace("kafka", Namespace("live"), (REJECTS,))
