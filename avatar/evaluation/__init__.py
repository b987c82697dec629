"""Scores of an avatar on images it was not trained on; `evaluate` is the entry point."""
