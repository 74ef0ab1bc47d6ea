"""Everything outside: Kafka, metrics, files, HTTP. Nothing here decides anything."""
