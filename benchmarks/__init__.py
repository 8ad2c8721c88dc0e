"""How fast Plugbay is, beside what people would use instead. Start with `benchmarks/run.sh`."""
