"""What the pages load from us: one style, one script, one mark."""
