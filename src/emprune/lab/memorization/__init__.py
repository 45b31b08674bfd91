"""What a network memorises, estimated by training on many random subsets, and whether EMP's score finds it.

``python -m emprune.lab.memorization --help``; what came out is in docs/theory.md.
"""
