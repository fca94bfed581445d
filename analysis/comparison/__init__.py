"""Two runs side by side, cell by cell: numbers, what differs between their protocols, the page."""
