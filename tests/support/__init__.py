"""Worlds, fixtures and helpers that tests share."""
