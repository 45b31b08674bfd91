"""Static subsets: what a scoring run shows, its stored scores, and the policies made of them."""
