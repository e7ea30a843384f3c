"""``wattproof simulate``: a day of invented traffic on invented providers and grids, under several policies."""
