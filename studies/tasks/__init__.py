"""Several yes-or-no labels a sample, and maps of classes: does EMP gain over random there?"""
