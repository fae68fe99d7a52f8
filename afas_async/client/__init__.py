"""What a user calls: the client, and what it offers for each kind of connector."""
