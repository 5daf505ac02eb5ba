"""Training of unfolded models: the protocol they offer, the loop, updates and stopping.

Nothing here knows a model or an estimator.
"""
