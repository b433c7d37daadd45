"""Tests: unit of operate."""
