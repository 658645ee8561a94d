"""`python -m safestream` is `safestream`."""

from safestream.cli import main

main()
