"""The shell: every command is a thin layer over a public call. torch is not imported until a command runs."""

__all__ = ["main"]

from infodil.cli.main import main
