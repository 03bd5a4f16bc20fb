"""More replicas that do not help are not ordered for ever."""
