"""The compose file is valid, and says what the native stack says."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from optionstream.deploy.stack.compose import COMPOSE_FILE, compose_addresses
from optionstream.deploy.stack.types import Server
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import MAX_RECORD_BYTES
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    # As a file: importing that package runs its command line, which needs a newer click than
    # Faust allows.
    vendored = distribution("check-jsonschema").locate_file(
        "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    )
    loaded: dict[str, Any] = json.loads(Path(str(vendored)).read_text(encoding="utf-8"))
    return loaded


def test_the_compose_file_meets_the_compose_schema(
    compose: dict[str, Any], schema: dict[str, Any]
) -> None:
    jsonschema.validators.validator_for(schema)(schema).validate(compose)


def test_the_schema_refuses_a_misspelt_key(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(compose))
    broken["services"]["kafka"]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_the_package_carries_the_file_at_the_top_of_the_repository() -> None:
    assert COMPOSE_FILE.read_bytes() == (ROOT / "docker-compose.kafka.yml").read_bytes()


def test_there_are_three_services_each_with_check_volume_port_and_restart(
    compose: dict[str, Any],
) -> None:
    assert set(compose["services"]) == {server.value for server in Server}
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert f"OPTIONSTREAM_{name.upper()}_PORT:-" in service["ports"][0], name
        mounted = {volume.split(":")[0] for volume in service["volumes"]}
        assert mounted and mounted <= set(compose["volumes"]), name


def test_default_ports_are_those_of_the_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    for server, address in compose_addresses(settings).items():
        port = getattr(settings, f"{server.value}_port")
        assert f":-{port}}}" in compose["services"][server.value]["ports"][0]
        assert f":{port}" in address


def test_containers_take_records_as_large_as_native_kafka_does(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]["environment"]
    assert int(kafka["KAFKA_MESSAGE_MAX_BYTES"]) == MAX_RECORD_BYTES
    assert int(kafka["KAFKA_REPLICA_FETCH_MAX_BYTES"]) == MAX_RECORD_BYTES
