"""``python -m prometheus_ai_runtime``."""

from prometheus_ai_runtime.cli import main

if __name__ == "__main__":
    main()
