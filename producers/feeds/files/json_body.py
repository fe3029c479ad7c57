"""Decode JSON bodies into typed structures; errors are one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

from optionstream.producers.feeds.format import FeedInput

CHAIN: Final = "option-chain"
Shape = TypeVar("Shape")


def decode_json(body: bytes, shape: type[Shape], file: FeedInput, noun: str = CHAIN) -> Shape:
    """Decode the body as ``shape``. Raises InputError: truncated or damaged JSON, wrong types."""
    with json_errors(file, noun):
        return msgspec.json.decode(body, type=shape)


@contextmanager
def json_errors(file: FeedInput, noun: str = CHAIN) -> Iterator[None]:
    """Turn the errors of a JSON decoder into InputError; ``noun`` says what the JSON should be."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise file.error(f"{noun} JSON of a wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise file.error(f"truncated or damaged JSON: {error}") from None
    except RecursionError:
        raise file.error("JSON nested too deeply") from None
