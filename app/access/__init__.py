"""Who is calling, and what they may do.

Nothing here may log, or put in an exception's text, a password, a token or a key.
"""
