"""`python -m setpiece.cli`: the command line without its script."""

from setpiece.cli import main

main()
