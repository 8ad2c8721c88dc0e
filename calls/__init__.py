"""What travels between gateway and runner: calls, replies, and the broker that carries them."""
