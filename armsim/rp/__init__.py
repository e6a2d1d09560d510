"""One module per family of ARM types: what it validates, defaults, echoes, locks and how long it takes."""
