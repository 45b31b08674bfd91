"""``python -m emprune``."""

from emprune.lab.cli import main

raise SystemExit(main())
