"""What several tests stand on: real servers, sockets that break, proxies."""
