"""The detect agent: merges partials into panes and windows, scores them, keeps incidents."""
