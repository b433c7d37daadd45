"""Tests: unit of codec."""
