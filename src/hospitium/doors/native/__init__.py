"""What no vendor's API covers, below `/v1`, and what every server has: health, and the keys that prove its tokens."""
