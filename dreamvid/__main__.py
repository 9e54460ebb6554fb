"""`python -m dreamvid`: the program by another name."""

from dreamvid.cli import main

main()
