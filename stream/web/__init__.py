"""Web: the pages and the API that will show windows, incidents and requests to people."""
