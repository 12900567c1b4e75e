"""Run the command line as `python -m kymograph`."""

from kymograph.cli import main

if __name__ == "__main__":
    main()
