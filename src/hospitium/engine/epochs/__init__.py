"""Epochs: the spans of the data's life from one restore to the next, and what a restore must not bring back."""
