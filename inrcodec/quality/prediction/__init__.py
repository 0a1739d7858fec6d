"""Predicts what an encode will cost, from short fits of samples; the entry point is `predict.predict`."""
