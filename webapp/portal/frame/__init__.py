"""What every page of the portal shares: layout, navigation, forms, HTMX, errors, and how things are worded."""
