"""Parked records: held back until what they name is there, then released in the order of the log."""
