"""Event store on PostgreSQL: append-only streams, reported outcomes, and what is projected from them."""
