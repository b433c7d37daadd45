"""Prepare a warehouse: migrations, roles, and what processes wait for before they begin."""
