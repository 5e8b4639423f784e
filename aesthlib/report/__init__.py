"""What readers see: notebooks, figures, tables, claims."""
