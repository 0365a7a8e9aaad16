"""The traders of the built-in exchange beyond makers and noise, and who of them is sent where."""
