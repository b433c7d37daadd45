"""Tests: unit of model."""
