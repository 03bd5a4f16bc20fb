"""Run by alembic: brings the schema of the connection that `store_engine` hands over to the newest version."""

from __future__ import annotations

from alembic import context

from trimtab.adapters.store_engine import VERSION_TABLE
from trimtab.adapters.store_schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
