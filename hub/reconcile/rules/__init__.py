"""What follows from a batch in addition to claims and records: rules about units, people, dossiers, links."""
