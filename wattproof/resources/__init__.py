"""The nouns that tools act on: each folder owns its input and output."""
