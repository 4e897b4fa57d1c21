"""The ``valkey://`` backend: the same store on a Valkey or Redis server, for processes of more than one machine."""
