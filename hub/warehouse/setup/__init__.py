"""Make a warehouse ready: migrations, roles, what processes wait for before they begin."""
