"""Join: predictions meet their labels, late, early, twice or corrected.

Will hold the table of pending predictions, the matching rules and their eviction.
"""
