"""A pipeline that reports itself with OpenLineage's own client, set up by its
environment variables alone: OPENLINEAGE_URL and OPENLINEAGE_API_KEY.

    python pipeline.py RUN

sends a run of the job demo.train with that ID, then a DatasetEvent and a JobEvent,
and ends with 1 where the client raises.
"""

import sys
from datetime import datetime, timezone

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    Dataset, DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState,
)
from openlineage.client.facet_v2 import (
    column_lineage_dataset, dataset_version_dataset, nominal_time_run, parent_run, schema_dataset,
    source_code_location_job, sql_job, symlinks_dataset,
)

run_id = sys.argv[1]
parent_id = "0199f0c0-0000-7000-8000-00000000000f"
client = OpenLineageClient()


def now():
    return datetime.now(timezone.utc).isoformat()


run = Run(run_id, {
    "parent": parent_run.ParentRunFacet(
        run=parent_run.Run(parent_id), job=parent_run.Job("demo", "pipeline")),
    "nominalTime": nominal_time_run.NominalTimeRunFacet(now()),
})
job = Job("demo", "train", {
    "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
        type="git", url="https://git.example/demo", repoUrl="https://git.example/demo", version="ab" * 20),
    "sql": sql_job.SQLJobFacet("SELECT * FROM cases"),
})
cases = InputDataset("postgres://db.example:5432", "clinic.public.cases", facets={
    "schema": schema_dataset.SchemaDatasetFacet([schema_dataset.SchemaDatasetFacetFields("age", "int")]),
    "symlinks": symlinks_dataset.SymlinksDatasetFacet(
        [symlinks_dataset.Identifier("hive://meta.example:9083", "clinic.cases", "TABLE")]),
})
model = OutputDataset("s3://models", "demo", facets={
    "version": dataset_version_dataset.DatasetVersionDatasetFacet("7"),
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields={
        "weight": column_lineage_dataset.Fields(inputFields=[
            column_lineage_dataset.InputField("postgres://db.example:5432", "clinic.public.cases", "age")]),
    }),
})
for state in RunState.START, RunState.RUNNING, RunState.COMPLETE:
    client.emit(RunEvent(eventType=state, eventTime=now(), run=run, job=job, inputs=[cases], outputs=[model]))
client.emit(DatasetEvent(eventTime=now(), dataset=Dataset("s3://models", "other")))
client.emit(JobEvent(eventTime=now(), job=Job("demo", "serve"), inputs=[InputDataset("s3://models", "demo")], outputs=[]))
client.close(timeout=10)
