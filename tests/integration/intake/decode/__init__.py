"""Tests: integration of the guarded decoder."""
