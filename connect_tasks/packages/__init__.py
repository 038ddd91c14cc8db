"""The app's packages: where they are declared, how they are resolved and pinned, the environments made of them."""
