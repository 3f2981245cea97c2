"""Runs migrations on the connection, and in the transaction, of the store that opens."""

from alembic import context

from prometheus_ai.adapters.stores.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
