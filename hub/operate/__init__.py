"""Room `operate`; see docs/architecture.md."""
