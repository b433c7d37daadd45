"""Evidence: seal, sign, verify, prove, search and retire the audit log."""
