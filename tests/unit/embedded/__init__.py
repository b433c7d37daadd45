"""Tests: unit of embedded."""
