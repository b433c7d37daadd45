"""The merge: a staged batch becomes claims, records, conflicts, reviews and outcomes, in the caller's transaction."""
