"""Web: the worker's HTTP endpoints; later the pages that show windows and incidents to people."""
