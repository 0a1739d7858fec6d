"""What will be fitted: the model, the bytes of each segment, where to cut, warm starts."""
