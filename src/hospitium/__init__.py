"""Hospitium: the sharing of health data, asked for, agreed, enforced, seen and ended."""

__version__ = "0.1.0"
