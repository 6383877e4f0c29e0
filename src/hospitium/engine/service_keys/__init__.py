"""Service keys: by which an application of an organization asks questions, instead of a person."""
