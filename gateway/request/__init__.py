"""From a request to the arguments of a call: path, query and body, checked and encoded once."""
