"""Room `intake`; see docs/architecture.md."""
