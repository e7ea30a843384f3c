"""Who calls over HTTP: credentials become a `Principal`, and a principal has a log of its own."""
