"""Deliveries: each the series of attempts to tell somebody something by mail."""
