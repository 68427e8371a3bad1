"""The desk's pages: each module has the handlers of some addresses. They show, and hand decisions to the ledger."""
