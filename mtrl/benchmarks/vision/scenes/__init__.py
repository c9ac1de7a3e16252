"""Made-up pictures with exact labels, for stand-ins of data that cannot be passed on: rooms, streets, attributes."""
