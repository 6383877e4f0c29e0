"""The rules. Nothing here has heard of HTTP, HTML, e-mail, the environment or the system clock."""
