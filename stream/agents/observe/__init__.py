"""The observe agent: decodes records and folds rows into mergeable counts by pane."""
