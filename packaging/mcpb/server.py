"""Starts wattproof from its MCPB bundle, over stdin and stdout."""

import os
import sys

# A host hands over a field that the user left empty as an empty string, or as its own placeholder.
for name, value in list(os.environ.items()):
    if not value or value.startswith("${user_config."):
        del os.environ[name]

from wattproof.__main__ import main  # noqa: E402  (it may read the environment while it is imported)

sys.exit(main([]))
