"""Reference data that comes with the hub: the country's administrative units and their succession (README.md, sources and licence)."""
