"""Measurements that print figures; nothing here is asserted by tests."""
