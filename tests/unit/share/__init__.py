"""Unit tests of share."""
