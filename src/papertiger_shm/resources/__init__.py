"""The resource stores, one a file: each declares its table and its finders, and nothing else enters this room."""
