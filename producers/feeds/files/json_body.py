"""JSON bodies decoded into typed structures, with one line for what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from optionstream.schemas.errors import InputError

Shape = TypeVar("Shape")


def decoded(body: bytes, shape: type[Shape], name: str) -> Shape:
    """Raises InputError naming ``name``: truncated or other JSON, wrong types."""
    with decoding(name):
        return msgspec.json.decode(body, type=shape)


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """What a decoder raises inside becomes an InputError naming ``name``."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise InputError(name, f"option-chain JSON of a wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(name, f"truncated or damaged JSON: {error}") from None
    except RecursionError:
        raise InputError(name, "JSON nested too deeply") from None
