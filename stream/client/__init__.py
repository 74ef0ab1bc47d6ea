"""The SDK of model servers: log predictions and labels, subscribe to alerts."""
