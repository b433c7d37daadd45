"""Tests: all kinds."""
