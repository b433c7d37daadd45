"""The ledger: is every consumed record accounted for, and is what was written still there (I5)?"""
