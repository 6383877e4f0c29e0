"""What all surfaces say of themselves: /openapi.json, put together from their tables of routes, and the page that shows it."""
