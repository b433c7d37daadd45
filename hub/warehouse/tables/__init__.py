"""The tables: those of every warehouse, those derived from declarations, and how a replay treats each."""
