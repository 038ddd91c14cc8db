"""The Connect server: how it is called, what it says, and what that means."""
