"""Tests: unit of warehouse."""
