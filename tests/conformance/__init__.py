"""What every backend has to do, told through the public surface alone; ``conftest`` says which backends there are."""
