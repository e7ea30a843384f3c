from __future__ import annotations

from wattproof.resources.receipts.pack.cli import main

raise SystemExit(main())
