"""The laboratory: trains policies on equal samples and says what they bought. It uses public names of emprune only."""

__version__ = "0.1.0"
