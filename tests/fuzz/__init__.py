"""Any bytes at the phones' door: requests that phones, damaged files and broken connections might make, and worse."""
