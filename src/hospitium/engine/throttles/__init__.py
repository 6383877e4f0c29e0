"""Throttles: what slows whoever tries too often, and never locks anybody out for good."""
