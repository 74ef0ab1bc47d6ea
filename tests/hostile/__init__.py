"""Records that nobody should send: made by kind and seed, with what must become of each."""
