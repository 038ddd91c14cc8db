"""T1, T2: what `from package import name` asks of a package that makes the name when asked."""

import lazy
from lazy import freeze  # asks `__getattr__` twice: so registering must be idempotent

import lazy.deploy  # a submodule that bears a session's name
from lazy import deploy  # yields the module, `__getattr__` is not asked, nothing is registered

print("asked for:", lazy.asked)
print("deploy is a", type(deploy).__name__)
