"""The question: may this one do that to this, now, and why."""
