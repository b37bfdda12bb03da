"""Access to the portal: sessions, signing in and out, and the access rule of each view."""
