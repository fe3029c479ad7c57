"""From arguments to files, and what a path or an option says about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from optionstream.producers.feeds import FeedHints, expand_paths
from optionstream.producers.feeds.products import KNOWN_INDICES, product_in_path
from optionstream.schemas.errors import InputError, UsageError


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_a_folder_gives_all_its_files_in_natural_order(tmp_path: Path) -> None:
    names = ["f1.csv", "f2.csv", "f10.csv", "sub2/a", "sub10/a"]
    _touch(*(tmp_path / name for name in reversed(names)))
    found = expand_paths([str(tmp_path)])
    assert [str(path.relative_to(tmp_path)) for path in found] == names


def test_hidden_files_and_folders_are_left_out_of_a_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "a", tmp_path / ".b", tmp_path / ".git" / "c")
    assert expand_paths([str(tmp_path)]) == [tmp_path / "a"]


def test_a_hidden_file_that_is_named_is_taken(tmp_path: Path) -> None:
    _touch(tmp_path / ".b")
    assert expand_paths([str(tmp_path / ".b")]) == [tmp_path / ".b"]


def test_a_glob_gives_its_matches_in_natural_order(tmp_path: Path) -> None:
    _touch(*(tmp_path / f"x{n}.gz" for n in (10, 9, 1)), tmp_path / "y.gz")
    found = expand_paths([str(tmp_path / "x*.gz")])
    assert [path.name for path in found] == ["x1.gz", "x9.gz", "x10.gz"]


def test_a_glob_that_matches_folders_gives_their_files_once(tmp_path: Path) -> None:
    _touch(tmp_path / "d1" / "a", tmp_path / "d1" / "e" / "b")
    found = expand_paths([str(tmp_path / "**")])
    assert [path.name for path in found] == ["a", "b"]


def test_a_file_whose_name_looks_like_a_glob_is_taken_as_it_is(tmp_path: Path) -> None:
    _touch(tmp_path / "a[1].csv", tmp_path / "a1.csv")
    assert expand_paths([str(tmp_path / "a[1].csv")]) == [tmp_path / "a[1].csv"]


def test_arguments_keep_their_order(tmp_path: Path) -> None:
    _touch(tmp_path / "a", tmp_path / "b")
    args = [str(tmp_path / "b"), str(tmp_path / "a")]
    assert [path.name for path in expand_paths(args)] == ["b", "a"]


@pytest.mark.parametrize("name", ["missing.csv", "missing*.csv", "empty"])
def test_a_path_without_a_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=str(tmp_path)):
        expand_paths([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("path", "product"),
    [
        ("ticks-nifty-1s-2022/2022-08-10.csv.gz", "NIFTY"),
        ("data/banknifty_2024.csv", "BANKNIFTY"),
        ("NIFTY/BANKNIFTY.csv", "BANKNIFTY"),
        ("BANKNIFTY/NIFTY.csv", "NIFTY"),
        ("ticks/nifty-and-finnifty.csv", "FINNIFTY"),
        ("sensex 2024/a.csv", "SENSEX"),
        ("niftyfut/a.csv", None),
        ("nifty/2024/a.csv", None),
        ("a.csv", None),
    ],
)
def test_an_index_is_a_whole_word_of_the_name_or_its_folder(path: str, product: str | None) -> None:
    assert product_in_path(Path("/data") / path) == product


def test_longer_index_names_are_looked_for_first() -> None:
    assert sorted(KNOWN_INDICES, key=len, reverse=True) == list(KNOWN_INDICES)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product", "nifty"),
        ("product", ""),
        ("expiry", "13-Jan-2026"),
        ("expiry", "20260113"),
        ("timestamp_ms", -1),
    ],
)
def test_a_hint_of_another_form_is_a_usage_error(field: str, value: object) -> None:
    with pytest.raises(UsageError, match="use "):
        FeedHints(**{field: value})  # type: ignore[arg-type]
