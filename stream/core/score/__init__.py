"""Score: how far a window's counts are from the reference's."""
