"""Tests: integration of connectors."""
