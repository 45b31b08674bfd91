"""From finished runs to statistics, tables, figures and the report."""
