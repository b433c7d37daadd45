"""Tests: integration of replays."""
