"""The command as people run it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from setpiece import cli


def run_command(monkeypatch, capsys, *arguments):
    """Its exit code, output and error output."""
    monkeypatch.setattr(sys, "argv", ["setpiece", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    printed = capsys.readouterr()
    return SimpleNamespace(code=code, out=printed.out, err=printed.err)
