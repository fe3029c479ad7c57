"""Tables of market facts, packaged with the code and read through ``importlib.resources``."""
