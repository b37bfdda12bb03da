"""Our gunicorn worker, and its checks on bodies before it reads them whole.

A thread gets a request only when its whole body has arrived. A slow or silent client therefore blocks no thread, and
the application never sees an incomplete body (PHONE-18). Each kind of request has its own threads, so that requests of
researchers and strangers do not slow down phones (CLAR-9, CLAR-73).
"""
