"""`python -m orthogon` is the command `orthogon`."""

from orthogon.cli import main

main()
