"""Settings come from the environment that is handed in, and bad ones are named."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from optionstream.schemas.errors import SettingsError, UsageError
from optionstream.schemas.settings import Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({"HOME": "/home/someone"})
    assert settings == Settings(data_dir=Path("/home/someone/.local/share/optionstream"))


def test_the_real_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIONSTREAM_KAFKA", "elsewhere:1")
    assert Settings.from_env({"HOME": "/"}).kafka is None


def test_addresses_and_numbers_are_taken() -> None:
    settings = Settings.from_env(
        {
            "OPTIONSTREAM_DATA_DIR": "/data",
            "OPTIONSTREAM_KAFKA": "a:1,b:2",
            "OPTIONSTREAM_KAFKA_PORT": "19092",
            "OPTIONSTREAM_STACK": "native",
            "OPTIONSTREAM_RAW": "0",
        }
    )
    assert settings.data_dir == Path("/data")
    assert settings.kafka == "a:1,b:2"
    assert settings.kafka_port == 19_092
    assert settings.stack == "native"
    assert not settings.raw


def test_an_empty_value_counts_as_unset() -> None:
    env = {"HOME": "/", "OPTIONSTREAM_MONGO": "", "OPTIONSTREAM_PARTITIONS": ""}
    assert Settings.from_env(env) == Settings.from_env({"HOME": "/"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTIONSTREAM_PARTITIONS", "four"),
        ("OPTIONSTREAM_PARTITIONS", "0"),
        ("OPTIONSTREAM_KAFKA_PORT", "0"),
        ("OPTIONSTREAM_ALLOWED_LATENESS_MS", "-1"),
        ("OPTIONSTREAM_SESSION_TIMEOUT_MS", "1.5"),
        ("OPTIONSTREAM_STACK", "podman"),
        ("OPTIONSTREAM_RAW", "yes"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}='?{value}") as caught:
        Settings.from_env({"HOME": "/", name: value})
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2


def test_a_session_may_be_as_short_as_the_local_kafka_accepts() -> None:
    env = {"HOME": "/", "OPTIONSTREAM_KAFKA_MIN_SESSION_MS": "2000"}
    assert Settings.from_env(env).session_timeout_ms == 6_000
    env["OPTIONSTREAM_SESSION_TIMEOUT_MS"] = "2000"
    assert Settings.from_env(env).session_timeout_ms == 2_000
    env["OPTIONSTREAM_SESSION_TIMEOUT_MS"] = "1999"
    with pytest.raises(SettingsError, match="below the least value 2000"):
        Settings.from_env(env)


def test_a_session_is_never_shorter_than_the_local_kafka_accepts() -> None:
    with pytest.raises(SettingsError, match="SESSION_TIMEOUT_MS=5999 is below the least value"):
        Settings.from_env({"HOME": "/", "OPTIONSTREAM_SESSION_TIMEOUT_MS": "5999"})
    longer = Settings.from_env({"HOME": "/", "OPTIONSTREAM_KAFKA_MIN_SESSION_MS": "9000"})
    assert longer.session_timeout_ms == 9_000


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings(data_dir=Path("/")).kafka = "x"  # type: ignore[misc]


def test_a_namespaces_archive_lies_in_the_data_folder_unless_told_otherwise() -> None:
    env = {"OPTIONSTREAM_DATA_DIR": "/data"}
    assert Settings.from_env(env).archive_folder("live") == Path("/data/audit/live")
    env["OPTIONSTREAM_AUDIT_DIR"] = "/mnt/archive"
    settings = Settings.from_env(env)
    assert settings.archive_folder("monday") == Path("/mnt/archive/monday")
    assert settings.audit_retention_days == 2_557


def test_features_lie_in_the_data_folder_and_have_all_lengths_unless_told_otherwise() -> None:
    env = {"OPTIONSTREAM_DATA_DIR": "/data"}
    settings = Settings.from_env(env)
    assert settings.features_folder("live") == Path("/data/features/live")
    assert settings.features_intervals == ("1m", "3m", "5m", "15m", "30m", "60m")
    env |= {"OPTIONSTREAM_FEATURES_DIR": "/mnt/rows", "OPTIONSTREAM_FEATURES_INTERVALS": "5m, 1m"}
    settings = Settings.from_env(env)
    assert settings.features_folder("monday") == Path("/mnt/rows/monday")
    assert settings.features_intervals == ("1m", "5m")


@pytest.mark.parametrize("value", ["2m", "1d", "1m,1d", ","])
def test_a_length_of_which_no_rows_are_made_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match="OPTIONSTREAM_FEATURES_INTERVALS") as caught:
        Settings.from_env({"HOME": "/", "OPTIONSTREAM_FEATURES_INTERVALS": value})
    assert "1m,3m,5m" in str(caught.value)
