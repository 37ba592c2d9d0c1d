"""What the differential test sends (corpus/*.txt), how it sends it to two sides, and where replies may differ."""
