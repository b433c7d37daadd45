"""Schemas and values: the catalogue, encoding, decoding, the schema registry; see docs/architecture.md."""
