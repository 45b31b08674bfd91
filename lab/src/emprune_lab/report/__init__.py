"""From finished runs to statistics, tables, figures and one self-contained page."""
