"""Room `share`; see docs/architecture.md."""
