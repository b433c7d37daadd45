"""Evidence: seal, sign, verify, prove, search, retire the audit log."""
