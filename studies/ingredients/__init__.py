"""Ingredients beside the choice of samples: which of them pay at equal cost, with random and with EMP?"""
