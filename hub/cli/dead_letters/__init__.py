"""Commands of dead letters, parked records and stopped partitions."""
