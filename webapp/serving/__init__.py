"""How requests reach the application: gunicorn's worker, and what it asks of a body before it reads on.

A thread is given a request only when the whole of it has arrived, so that a slow or silent client holds no thread, and
the application never sees a body that broke off (PHONE-18). Threads are shared out by kind of request, so that nothing
that researchers or strangers do takes the phones' share (CLAR-9, CLAR-73).
"""
