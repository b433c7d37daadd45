"""Tests: unit of the checks column by column."""
