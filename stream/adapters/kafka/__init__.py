"""Kafka: consumers, producers, topics, and a broker of one's own for tests and development."""
