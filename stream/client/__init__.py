"""The SDK of model servers: log predictions and labels, subscribe to alerts."""

from stream.client.alert import Alert
from stream.client.counters import Counters
from stream.client.labels import LabelLogger
from stream.client.predictions import PredictionLogger
from stream.client.subscriber import AlertSubscriber

__all__ = ["Alert", "AlertSubscriber", "Counters", "LabelLogger", "PredictionLogger"]
