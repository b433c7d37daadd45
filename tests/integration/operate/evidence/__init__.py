"""Tests: integration of evidence."""
