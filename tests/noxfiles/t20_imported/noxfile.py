"""T20: sessions of an imported module become default sessions, unless they say otherwise."""

import library
