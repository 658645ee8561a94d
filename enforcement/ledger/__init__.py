"""The account ledger as a pure fold: records of four topics in, the state of an account out, and what it says."""
