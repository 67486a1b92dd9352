"""Feast's own client, with its remote online store, against the server whose address and key are given. Prints what it read as JSON."""

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

folder, url = Path(sys.argv[1]), sys.argv[2]
(folder / "feature_store.yaml").write_text(
    f"""project: conformance
provider: local
registry: {folder}/registry.db
online_store:
  type: remote
  path: {url}
auth:
  type: oidc
  token_env_var: SIBYL_KEY
entity_key_serialization_version: 3
"""
)
driver = Entity(name="driver_id", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(name="none", path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
view = FeatureView(
    name="drivers",
    entities=[driver],
    ttl=timedelta(days=30),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="fare", dtype=Float64),
        Field(name="city", dtype=String),
    ],
    source=source,
)
service = FeatureService(name="pricing", features=[view[["fare", "city"]]])
store = FeatureStore(repo_path=str(folder))
store.registry.apply_entity(driver, project="conformance")
store.registry.apply_feature_view(view, project="conformance")
store.registry.apply_feature_service(service, project="conformance")


def read(features, drivers, **more):
    answer = store.get_online_features(features=features, entity_rows=[{"driver_id": one} for one in drivers], **more)
    proto = answer.proto
    names = list(proto.metadata.feature_names.val)
    statuses = {name: list(result.statuses) for name, result in zip(names, proto.results)}
    return {"values": answer.to_dict(), "statuses": statuses}


def refused(features):
    try:
        read(features, [1])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


both = ["drivers:fare", "drivers:city"]
print(
    json.dumps(
        {
            "one": read(both, [1]),
            "many": read(both, [1, 2, 60, 80, 999999999]),
            "full": read(both, [1], full_feature_names=True),
            "service": read(service, [1, 2]),
            "service_full": read(service, [1], full_feature_names=True),
            "refused": refused(["drivers:nothing"]),
        }
    )
)
