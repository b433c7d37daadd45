"""Checks of decoded rows, column by column: rules of values, lengths, flags of doubt, derived columns."""
