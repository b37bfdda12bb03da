"""Who enters the portal: sessions, signing in and out, and the access rule that each view names."""
