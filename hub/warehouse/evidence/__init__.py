"""The audit log as evidence: its months, the hashes of its rows, and the search for a key's rows."""
