"""`surface`: smiles and surfaces of files, in their order."""

from __future__ import annotations

import json
from pathlib import Path

from optionstream.producers.feeds.session_file import SessionHeader, write_session
from optionstream.schemas.documents import surface_document
from optionstream.schemas.events import ChainSnapshot
from tests.harness.cli import run
from tests.unit.streams.core.surface.building import FAR, FEW, NEAR, NEXT, NOON, body, quoted, told
from tests.unit.streams.verify.world import as_json


def session(path: Path, *chains: ChainSnapshot) -> Path:
    products = sorted({chain.product for chain in chains})
    write_session(path, SessionHeader(products=products), chains)
    return path


def day(tmp_path: Path) -> tuple[Path, list[ChainSnapshot]]:
    """Two captures of three expiries."""
    bodies = (body("a", 3), body("b", 3, NOON + 60_000, volatility=0.2))
    chains = [quoted(expiry, **one) for one in bodies for expiry in (NEAR, NEXT, FAR)]  # type: ignore[arg-type]
    return session(tmp_path / "day.jsonl.zst", *chains), chains


def test_the_last_surface_of_a_product_is_one_json_line(tmp_path: Path) -> None:
    path, chains = day(tmp_path)
    ran = run("surface", path, "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.rows
    assert found == as_json(surface_document(told(*chains)[-1]))
    assert [smile["expiry"] for smile in found["smiles"]] == [NEAR, NEXT, FAR]
    assert round(found["smiles"][0]["atm_iv"], 4) == 0.2


def test_every_surface_comes_in_order(tmp_path: Path) -> None:
    path, chains = day(tmp_path)
    ran = run("surface", path, "--every", "--json")
    assert ran.rows == [as_json(surface_document(one)) for one in told(*chains)]
    assert [row["number"] for row in ran.rows] == [1, 2]


def test_the_table_has_a_row_for_each_expiry(tmp_path: Path) -> None:
    path, _ = day(tmp_path)
    ran = run("surface", path)
    title, *lines = ran.out.splitlines()
    assert title == "NIFTY, date 2026-01-06"
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == [NEAR, NEXT, FAR]
    assert "RR 25Δ" in ran.out
    assert max(map(len, lines)) <= 80


def test_files_are_one_stream_and_products_are_apart(tmp_path: Path) -> None:
    first = session(tmp_path / "1.jsonl.zst", quoted(NEAR, strikes=FEW))
    other = quoted(NEXT, ts=NOON + 1, strikes=FEW)
    second = session(
        tmp_path / "2.jsonl.zst", other, quoted(NEXT, strikes=FEW, product="BANKNIFTY")
    )
    found = run("surface", first, second, "--json").rows
    assert [(row["product"], len(row["smiles"])) for row in found] == [
        ("NIFTY", 2),
        ("BANKNIFTY", 1),
    ]
    chosen = run("surface", first, second, "--products", "BANKNIFTY", "--json").rows
    assert chosen == found[1:]


def test_a_capture_that_ends_the_file_is_told_as_incomplete(tmp_path: Path) -> None:
    path = session(tmp_path / "half.jsonl.zst", quoted(NEAR, **body("a", 2)))  # type: ignore[arg-type]
    (found,) = run("surface", path, "--json").rows
    assert found["flags"] == ["incomplete_capture"]


def test_a_file_without_chains_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    good, _ = day(tmp_path)
    bad = tmp_path / "notes.txt"
    bad.write_text("nothing of the kind\n")
    ran = run("surface", bad, good, "--json")
    assert ran.code == 2
    assert str(bad) in ran.complaint
    assert json.loads(ran.out)["product"] == "NIFTY"
