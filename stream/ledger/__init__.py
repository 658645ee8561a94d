"""The account ledger's process, on Faust. Import `stream.ledger.process` only in it: Faust changes what it touches."""
