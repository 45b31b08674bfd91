"""Does a rate that follows the scores spend samples better than a fixed one? See README.md beside this file."""
