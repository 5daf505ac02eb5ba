"""Mathematics on ndarrays: no estimators, no random numbers, no printing."""
