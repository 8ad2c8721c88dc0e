"""Wires the rooms into processes: what every arrangement of them shares, and the two processes of the stack."""
