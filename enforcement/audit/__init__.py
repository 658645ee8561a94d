"""The proof: what a leaf holds, the census, the stand-alone verifier."""
