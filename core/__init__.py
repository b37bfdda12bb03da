"""The domain: what the phone API, the data API, the portal and the flows stand on. Knows no HTTP and no Prefect."""
