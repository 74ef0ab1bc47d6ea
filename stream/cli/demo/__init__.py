"""The demo: an example model (or any table), a worker, and a terminal that shows the drift."""
