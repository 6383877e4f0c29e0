"""The world that installations are loaded with."""

from cli.conftest import world_file

__all__ = ["world_file"]
