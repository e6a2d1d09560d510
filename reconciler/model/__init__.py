"""The floor: frozen values and ports that every room shares. Standard library only; nothing here reads, waits or decides."""
