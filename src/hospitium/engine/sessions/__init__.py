"""Sessions: a sign-in, its refresh tokens, and its end."""
