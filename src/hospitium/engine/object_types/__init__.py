"""Object types: which kinds of records an organization has, and how records of each may be shared."""
