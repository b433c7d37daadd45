"""Tests: integration of intake."""
