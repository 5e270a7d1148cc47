"""`python -m sandbox`."""

import sys

from sandbox import cli

if __name__ == "__main__":
    sys.exit(cli.main(argv=sys.argv[1:]))
