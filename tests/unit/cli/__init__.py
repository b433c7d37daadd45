"""Tests: unit of cli."""
