"""Decode bytes from outside into columns, in a child process whose crash does no harm."""
