"""Digests of windows and incidents: the same for two runs if, and only if, their bytes are."""
