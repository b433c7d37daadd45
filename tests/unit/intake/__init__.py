"""Tests: unit of intake."""
