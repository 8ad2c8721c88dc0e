"""HTTP/1.1 as this server speaks it: one strict reading, with a bound and a deadline on everything."""
