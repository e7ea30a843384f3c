from __future__ import annotations

from wattproof.resources.receipts.cli import main

raise SystemExit(main())
