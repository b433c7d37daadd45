"""The audit log as evidence reads it: its months, its rows hashed, a key's rows found."""
