"""The MCP server, the command line and what they need to start."""
