"""Backtest: the same agents over a topic's past, to ask what other thresholds would have done.

For the same records it will give the same windows and incidents, byte for byte, as the live run.
"""
