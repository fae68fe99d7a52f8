"""The tests."""

import os

# No test meets a certificate of a public authority, and each of many processes would read all of them twice.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)
