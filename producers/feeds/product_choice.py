"""The product of a file whose rows name it at most in a column of text. Pure."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.hints import (
    KNOWN_INDICES,
    FeedHints,
    needed_product,
    product_in_path,
)
from optionstream.producers.feeds.products import product_named
from optionstream.schemas.errors import InputError

_SHOWN: Final = 3


def product_of_index_file(
    path: Path, labels: Collection[str], hints: FeedHints, problems: list[str]
) -> str:
    """As ``product_of_file``; where neither option nor rows tell it, the index in the path.

    Rows that name one index in a file whose path names another are an InputError: real files are
    mislabelled, and only the caller knows which is meant.
    """
    named = product_in_path(path)
    if hints.product is None and named is not None:
        if not labels:
            return named
        label = _only(path, labels)
        if label in KNOWN_INDICES and label != named:
            raise InputError(
                str(path),
                f"its rows say {label}, its path says {named}: say which one with --product",
            )
    return product_of_file(path, labels, hints, problems)


def product_of_file(
    path: Path, labels: Collection[str], hints: FeedHints, problems: list[str]
) -> str:
    """``--product`` where it is given, told in ``problems`` when the rows say otherwise; else what
    the rows say. Raises InputError when nobody says it, and when the rows name several."""
    if not labels:
        return needed_product(hints.product, str(path))
    label = _only(path, labels)
    if hints.product in (None, label):
        return label
    problems.append(f"its rows say {label}; taken as {hints.product}, as --product says")
    return hints.product


def _only(path: Path, labels: Collection[str]) -> str:
    try:
        names = sorted({product_named(label) for label in labels})
    except ValueError as error:
        raise InputError(str(path), str(error)) from None
    if len(names) > 1:
        more = ", …" if len(names) > _SHOWN else ""
        raise InputError(
            str(path), f"rows of several products: {', '.join(names[:_SHOWN])}{more}; one a file"
        )
    return names[0]
