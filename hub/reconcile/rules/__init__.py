"""What follows from a batch beyond claims and records: rules about units, people, dossiers, links."""
