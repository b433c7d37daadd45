"""The ledger and the quality of each source, as operators read them."""
