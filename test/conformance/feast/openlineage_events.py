"""Reads the events on stdin with OpenLineage's own classes; prints how many it took, column by column."""

import json
import sys

import attr
from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset
from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
    Transformation,
)

columns = 0
events = json.load(sys.stdin)["events"]
for event in events:
    JobEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        job=Job(**event["job"]),
        inputs=[InputDataset(**one) for one in event["inputs"]],
        outputs=[OutputDataset(**one) for one in event["outputs"]],
    )
    assert event["schemaURL"] == JobEvent._get_schema(), event["schemaURL"]
    for output in event["outputs"]:
        lineage = output["facets"].get("columnLineage")
        if lineage is None:
            continue
        assert lineage["_schemaURL"] == ColumnLineageDatasetFacet._get_schema(), lineage["_schemaURL"]
        for name, column in lineage["fields"].items():
            inputs = [
                InputField(
                    **{key: one[key] for key in ("namespace", "name", "field")},
                    transformations=[Transformation(**how) for how in one["transformations"]],
                )
                for one in column["inputFields"]
            ]
            assert attr.has(Fields) and Fields(inputFields=inputs)
            columns += 1
print(json.dumps({"events": len(events), "columns": columns}))
