"""The intake: polls event topics, prepares batches and commits them; see docs/architecture.md."""
