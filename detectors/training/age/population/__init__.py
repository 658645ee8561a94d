"""A simulated population of a listening platform: accounts whose true ages are known, because nobody is behind them."""
