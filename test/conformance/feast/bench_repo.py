"""A Feast repository on Redis with these features of these entities, for test/bench/features-feast.mjs."""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType

folder, redis, names, entities = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
(folder / "feature_store.yaml").write_text(
    f"""project: bench
provider: local
registry: {folder}/registry.db
online_store:
  type: redis
  connection_string: "127.0.0.1:{redis}"
entity_key_serialization_version: 3
"""
)
now = datetime.now(timezone.utc)
data = pd.DataFrame(
    {"symbol": entities, "event_timestamp": now, **{name: [100.5 + i for i in range(len(entities))] for name in names}}
)
data.to_parquet(folder / "bars.parquet")
symbol = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)
source = FileSource(name="bars", path=str(folder / "bars.parquet"), timestamp_field="event_timestamp")
view = FeatureView(
    name="bench",
    entities=[symbol],
    ttl=timedelta(days=30),
    schema=[Field(name=name, dtype=Float64) for name in names],
    source=source,
)
store = FeatureStore(repo_path=str(folder))
store.apply([symbol, source, view])
store.write_to_online_store("bench", data)
