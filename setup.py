"""Puts `export` and `configs` into the package: `tfdam.export` and `tfdam.configs`.

An installed tfdam adds only its own name to Python's path, because users' projects may have
folders called export and configs too. Everything else is in pyproject.toml.
"""

import setuptools

_OWN = setuptools.find_packages(include=["tfdam", "tfdam.*"])
_MOVED = setuptools.find_packages(include=["configs", "configs.*", "export", "export.*"])

setuptools.setup(
  packages=[*_OWN, *(f"tfdam.{name}" for name in _MOVED)],
  package_dir={"tfdam.configs": "configs", "tfdam.export": "export"},
)
