"""Tests: integration of operate."""
