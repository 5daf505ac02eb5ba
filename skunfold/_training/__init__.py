"""Training of unfolded models: the protocol they offer, the loop, updates and stopping.

Nothing here depends on a particular model or estimator.
"""
