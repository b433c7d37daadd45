"""Alembic's environment: runs on the connection and in the transaction that ``hub.warehouse.migrate`` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
context.run_migrations()
