"""Dead letters, parked records and stopped partitions: show, edit, approve, send again, discard."""
