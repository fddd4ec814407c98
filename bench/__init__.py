"""`python -m bench`: jaxent's losses timed beside their peers'."""
