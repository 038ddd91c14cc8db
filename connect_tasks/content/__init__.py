"""What Connect is given: the app's files, their manifest, the app's mode and entrypoint."""
