"""What a connector remembers: positions, rejects, what it sent, the lock of its source."""
