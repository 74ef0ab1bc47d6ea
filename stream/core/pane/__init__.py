"""Pane: rows become mergeable counts, watermarks close panes, panes make windows."""
