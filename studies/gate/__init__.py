"""EMP gated by the generalisation gap beside EMP and dynamic random, in the settings of the other studies."""
