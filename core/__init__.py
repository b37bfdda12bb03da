"""The domain code under the phone API, the data API, the portal and the flows. It uses neither HTTP nor Prefect."""
