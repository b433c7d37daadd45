"""Compare what a source holds with what the warehouse holds of it, by key; and repair what differs.

The source's claims are compared, not the golden record: a claim that another source's outranks is there all the same.
What is compared is the content hash that claims keep against the hash of what the connector would publish now.
"""
