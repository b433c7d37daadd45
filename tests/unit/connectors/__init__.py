"""Tests: unit of connectors."""
