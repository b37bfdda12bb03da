"""Any bytes to the phones' endpoints: requests that phones, damaged files and broken connections might make, and worse."""
