"""The LLM guard: any causal language model asked whether a message violates a policy, in one forward."""
