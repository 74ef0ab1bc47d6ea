"""The SDK of model servers: log predictions and labels, subscribe to alerts."""

from stream.client.feeder import Counters
from stream.client.labels import LabelLogger
from stream.client.predictions import PredictionLogger

__all__ = ["Counters", "LabelLogger", "PredictionLogger"]
