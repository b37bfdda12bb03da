"""What all pages of the portal share: layout, navigation, forms, HTMX, errors, and how values are written."""
