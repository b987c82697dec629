"""`python -m avatar` is the `avatar` program."""

from avatar.cli.main import main

main()
