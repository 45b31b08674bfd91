"""Thin adapters to other libraries' loaders and trainers, a module or folder each: ``accelerate``, ``lightning``,
``torchdata``, ``transformers``; ``rounds`` serves them. Each imports what it integrates and says what to install where
that is missing; nothing else in the library imports them.
"""
