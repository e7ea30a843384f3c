"""The same journey through every MCP client that can be run here, against the installed wheel.

    python -m clients [NAME ...] [--write]

Each client lives in an environment of its own under a cache folder; nothing of it is imported here. A file of
`clients/python` or `clients/node` makes one client call a tool and tells what its model would then read; `journey`
drives them all alike and compares that with what the server sent.
"""
