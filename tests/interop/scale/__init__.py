"""Lakes of very many dumps and files, of which only the names are real."""
