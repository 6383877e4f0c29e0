"""The templates of the pages: the frame, its parts, and one a page."""
