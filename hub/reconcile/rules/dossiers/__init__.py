"""Rules about dossiers: deadlines, status moves, agencies, links."""
