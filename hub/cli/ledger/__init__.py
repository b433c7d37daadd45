"""Commands of the ledger and of quality: `hub ledger`, `hub quality`."""
