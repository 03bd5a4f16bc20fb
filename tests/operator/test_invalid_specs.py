"""What schema and CEL cannot see is told in the status, and changes nothing."""
