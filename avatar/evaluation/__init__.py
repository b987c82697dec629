"""How good an avatar is, on pictures it was not trained on; `run` is the whole of it."""
