"""Rules in plain Python, against which tests compare what the hub computes by columns and in SQL."""
