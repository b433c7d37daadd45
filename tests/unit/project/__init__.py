"""Unit tests of the project itself: documents, habits, secrets, pinned parts, configuration."""
