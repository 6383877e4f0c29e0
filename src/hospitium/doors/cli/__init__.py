"""The command line: for the operator, who stands beside the database."""
