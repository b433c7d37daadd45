"""The tables: those of every warehouse, those made from declarations, and what a replay does with each."""
