"""Tests: unit of log."""
