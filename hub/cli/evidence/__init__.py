"""Commands of the evidence: `hub audit`."""
