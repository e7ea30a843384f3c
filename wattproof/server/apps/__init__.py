"""MCP Apps: results as cards, for clients that can show them. Every tool says the same in text to all others."""
