"""Column-wise checks of decoded rows: value rules, text lengths, quality flags, derived columns."""
