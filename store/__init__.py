"""Tenants, modules and run-time settings: the platform's memory. One contract, interchangeable kinds."""
