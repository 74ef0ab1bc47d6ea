"""The chaos matrix: real workers on a real broker, disturbed on purpose, end in the same bytes.

`python -m tests.chaos` runs it whole, `tests/test_chaos.py` some of it.
"""
