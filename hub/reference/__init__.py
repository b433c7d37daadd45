"""Reference data that comes with the hub: administrative units and their succession (README.md: sources, licence)."""
