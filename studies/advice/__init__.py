"""What advice says after a fifth of an ordinary run, beside what comparisons found."""
