"""The `driftstream` command, one file a subcommand."""
