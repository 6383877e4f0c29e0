"""The trail of all events, numbered without gaps and sealed in blocks, so that a change to it is found."""
