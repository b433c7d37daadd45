"""The policy: who may speak of what, and what differs between two policies."""
