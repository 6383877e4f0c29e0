"""The door for applications that ask who may do what: OpenID AuthZEN Authorization API 1.0 (docs/dialects/authzen.md)."""
