"""Events made from a contract, valid and broken on purpose."""
