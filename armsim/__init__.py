"""Azure Resource Manager as far as it is known, over TLS, for tests, demonstrations and other people's clients.

Promises answers like the recorded ones. Knows nothing of the product: both are separate readings of the same
documentation, so that a misunderstanding shows.
"""
