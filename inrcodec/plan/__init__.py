"""Plans what is fitted: the networks, the bytes of each segment, segment boundaries, warm starts."""
