"""Room `warehouse`; see docs/architecture.md."""
