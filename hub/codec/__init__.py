"""Room `codec`; see docs/architecture.md."""
