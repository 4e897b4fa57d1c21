"""What MkDocs is told beside ``mkdocs.yml``: hooks, which are run by it and never by the package."""
