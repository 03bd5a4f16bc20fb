"""What people read: pure functions from objects to text."""
