"""Alembic's environment: runs on the connection, in the transaction, of ``hub.warehouse.setup.migrate``."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
context.run_migrations()
