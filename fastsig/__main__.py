"""``python -m fastsig`` is ``fastsig``."""

from fastsig.cli.main import main

if __name__ == "__main__":
    main()
