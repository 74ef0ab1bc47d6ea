"""The transactional runner: inputs, state and outputs committed in one Kafka transaction."""
