"""The wire: what was ever shipped decodes, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import msgspec
import pytest

from optionstream.schemas import codec, rejects
from optionstream.schemas.errors import RecordError
from optionstream.schemas.export import FOLDER, json_schemas
from tests.unit.schemas.examples import EXAMPLES

GOLDEN = Path(__file__).parents[2] / "golden"


def test_every_schema_has_an_example_and_a_golden_payload() -> None:
    assert set(EXAMPLES) == set(codec.SCHEMAS)
    assert {path.stem for path in GOLDEN.glob("*.json")} == {
        name.replace(":", ".v") for name in codec.SCHEMAS
    }


@pytest.mark.parametrize("name", codec.SCHEMAS)
def test_every_version_ever_shipped_still_decodes_to_what_it_meant(name: str) -> None:
    payload = (GOLDEN / f"{name.replace(':', '.v')}.json").read_bytes().strip()
    assert codec.decode(payload, [("schema", name.encode())]) == EXAMPLES[name]


@pytest.mark.parametrize("name", codec.SCHEMAS)
def test_encoding_gives_back_the_record_under_its_own_header(name: str) -> None:
    example = EXAMPLES[name]
    assert codec.headers_for(example) == [("schema", name.encode())]
    assert codec.decode(codec.encode(example), codec.headers_for(example)) == example


@pytest.mark.parametrize("name", codec.SCHEMAS)
def test_exported_json_schemas_are_current_and_accept_the_golden_payload(name: str) -> None:
    file = name.replace(":", ".v") + ".json"
    text = (FOLDER / file).read_text()
    assert text == json_schemas()[file], "run: python -m optionstream.schemas.export"
    jsonschema.validate(
        msgspec.json.decode((GOLDEN / file).read_bytes()), msgspec.json.decode(text)
    )


def test_a_record_without_header_is_a_foreign_tick() -> None:
    tick = codec.decode(b'{"product":"NIFTY","ts_ms":1,"price":2}', None)
    assert (tick.product, tick.price, tick.seq) == ("NIFTY", 2.0, None)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "header", "reason"),
    [
        (b"{}", b"tick_frame:9", rejects.UNKNOWN_SCHEMA),
        (b"{}", b"\xff\x00", rejects.UNKNOWN_SCHEMA),
        (b"\x00\xff\x17", b"tick_frame:1", rejects.UNDECODABLE),
        (b"", b"tick_frame:1", rejects.UNDECODABLE),
        (None, b"tick_frame:1", rejects.UNDECODABLE),
        (b'{"product":"NIFTY"}', b"tick_frame:1", rejects.INVALID),
        (b'{"product":"nifty","ts_ms":1,"price":2}', None, rejects.INVALID),
        (b'{"product":"NIFTY","ts_ms":"x","price":2}', None, rejects.INVALID),
        (b'{"x":' + b"[" * 100_000, None, rejects.UNDECODABLE),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    value: bytes | None, header: bytes | None, reason: str
) -> None:
    headers = None if header is None else [("schema", header)]
    with pytest.raises(RecordError) as refused:
        codec.decode(value, headers)
    assert refused.value.reason == reason
