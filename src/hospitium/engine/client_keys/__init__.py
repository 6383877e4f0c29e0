"""Client keys: what an application of an organization sends to say which one it is."""
