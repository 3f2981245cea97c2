"""Run the command line with ``python -m prometheus_ai.cli``."""

from prometheus_ai.cli.main import main

if __name__ == "__main__":
    main()
