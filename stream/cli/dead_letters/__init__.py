"""Dead letters: listed, exported to a file, and sent again once."""
