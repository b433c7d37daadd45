"""Tests: integration of warehouse."""
