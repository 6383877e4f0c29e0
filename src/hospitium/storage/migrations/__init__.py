"""How the schema came to be: one file a step, forward only. Run by `hospitium migrate`."""
