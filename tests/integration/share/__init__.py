"""Tests: integration of share."""
