"""One file per change of the ledger's tables; never changed once released."""
