"""A store of features with the ids and rules of the tests."""

from __future__ import annotations

from pathlib import Path

from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.core.features.join import FeatureRules
from optionstream.streams.sinks.features.store import FeatureStore
from tests.harness import feature_model as model
from tests.harness.feature_model import PRODUCTS

RULES = FeatureRules(model.GRACE_MS, model.LATENESS_MS, model.MAX_AGE_MS)


IDS = {(OHLC, 0): "bars-1", (CHAIN, 0): "chains-1"}


IDLE = {0: frozenset(PRODUCTS)}


def opened(folder: Path) -> FeatureStore:
    store = FeatureStore(folder)
    store.open()
    return store
