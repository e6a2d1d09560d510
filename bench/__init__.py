"""What a fleet costs: requests, seconds and memory, beside a plain script over the Azure SDK. `python -m bench`.

Measures processes from outside, as a user would see them. Knows nothing of how either works.
"""
