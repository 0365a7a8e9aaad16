"""Paper: a simulated account that trades on live books."""
