"""The floor: frozen values and ports that every room shares. Standard library only; nothing here waits or decides."""
