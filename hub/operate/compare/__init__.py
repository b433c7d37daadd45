"""Compare what a source holds with what the warehouse holds of it, key by key; and repair differences.

The source's claims are compared, not the golden record: a claim also exists when another source's outranks it.
The stored content hash of the claim is compared with the hash of what the connector would publish now.
"""
