"""The merge turns a staged batch into claims, records, conflicts, reviews and outcomes, in the caller's transaction."""
