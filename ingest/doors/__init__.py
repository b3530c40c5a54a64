"""What producers speak to: addresses, protocols, quotas and room, up to the answer."""
