"""Alembic's migrations of the tables every warehouse has; run by ``hub db migrate``."""
