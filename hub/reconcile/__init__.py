"""Room `reconcile`; see docs/architecture.md."""
