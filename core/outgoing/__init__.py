"""Mails, webhooks and Prefect events that the server sends by itself: written first, then tried until they arrive."""
