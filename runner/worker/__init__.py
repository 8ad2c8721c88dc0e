"""Inside a runner: the zygote, and the workers it forks. Only this code shares a process with plugins."""
