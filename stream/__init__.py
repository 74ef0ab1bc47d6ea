"""Drift in what model servers publish to Kafka, found in the stream."""
