"""Events to scores in processes of their own: batches, breakers, trials; nothing here knows a model."""
