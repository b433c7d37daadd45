"""The run: poll, publish, confirm, report."""
