"""The policy: who may speak of what, and the differences between two policies."""
