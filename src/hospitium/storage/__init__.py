"""PostgreSQL: where it runs, how it is reached, which shape it has, and the keys that stay outside it."""
