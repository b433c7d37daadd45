"""Tests: integration of reconcile."""
