"""Fills the database of an MLflow server with registered models, through MLflow's
own tables: over HTTP it would take minutes.

usage: fill.py DATABASE MODELS VERSIONS
"""

import sys
import time

from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore


def main():
    database, models, versions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    store = SqlAlchemyStore(database)
    now = int(time.time() * 1000)
    rows = []
    for m in range(models):
        name = f"m{m}"
        rows.append(SqlRegisteredModel(name=name, creation_time=now, last_updated_time=now, description="what it is for"))
        rows.append(SqlRegisteredModelTag(name=name, key="task", value=f"t{m % 10}"))
        rows.append(SqlRegisteredModelAlias(name=name, alias="blue", version=3))
        for v in range(1, versions + 1):
            rows.append(
                SqlModelVersion(
                    name=name, version=v, creation_time=now, last_updated_time=now, source=f"s3://models/{name}/{v}",
                    run_id=f"{m:016x}{v:016x}", current_stage="None", status="READY",
                )  # fmt: skip
            )
            rows.append(SqlModelVersionTag(name=name, version=v, key="commit", value=f"{m:020x}{v:020x}"))
    with store.ManagedSessionMaker() as session:
        session.add_all(rows)


if __name__ == "__main__":
    main()
