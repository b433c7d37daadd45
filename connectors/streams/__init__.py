"""Streams of a source, made from a declaration: read, compared, their rejects found again."""
