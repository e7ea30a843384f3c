"""Tasks as an agent meets them, run against the real server by a scripted client that knows only what the tools say."""
