"""Any bytes to the phones' endpoints: requests of phones, of damaged files and broken connections, and worse."""
