"""HTTP request → call, reply → HTTP response; and the control plane."""
