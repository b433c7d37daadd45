"""Parked records: held back until what they name exists, then released in log order."""
