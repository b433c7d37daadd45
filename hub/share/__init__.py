"""Golden records to the portal's compacted topics, dead letters to theirs; the audit log is the outbox."""
