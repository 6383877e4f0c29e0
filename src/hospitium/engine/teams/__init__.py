"""Teams: named groups of accounts in an organization; what is granted to a team, its members may do while they are in it."""
