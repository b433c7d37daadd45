"""Tests: integration of dead letters and parked records."""
