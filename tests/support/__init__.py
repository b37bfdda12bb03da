"""Support code of several tests: real servers, broken connections, proxies, factories."""
