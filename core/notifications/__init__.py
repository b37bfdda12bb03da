"""Push notifications: messages, credentials, sending, and outcomes."""
