"""Tests: e2e, what fails or is killed on the way."""
