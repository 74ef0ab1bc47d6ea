"""The flow itself, free of effects: decode, join, pane, score, signal, trigger."""
