"""Streams of a source, made from a declaration: read them, compare them, find the rows of their rejects."""
