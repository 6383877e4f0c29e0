"""Shares: a record or an account, offered to a person or a team at a level, accepted, and ended."""
