"""Requests of phones: authentication, registration, uploads. `webapp/phone` defines the answers' wire format."""
