"""The ledger checks that every consumed record has an outcome, and that what was written still exists (I5)."""
