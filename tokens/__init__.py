"""Single-use tokens as the gateway opens them: what a token is for, when it was made, and that it came first."""
