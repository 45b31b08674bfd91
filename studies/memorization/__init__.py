"""What a network memorises, estimated by training on many random subsets, and whether EMP's score finds it.

``python -m studies.memorization --help``; what came out is in docs/theory.md.
"""
