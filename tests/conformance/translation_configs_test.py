"""Every config of a translation is valid, names itself, and fits its networks."""

import glob
import itertools
import os

import pytest

from configs.translation import recipes
from tests import in_process
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.translation import translation_run

_FILES = sorted(
  os.path.relpath(path, runtime.PROJECT)
  for path in glob.glob(os.path.join(runtime.PROJECT, "configs", "translation", "*.py"))
  if os.path.basename(path) not in ("__init__.py", "recipes.py")
)


def test_there_are_configs():
  assert "configs/translation/streets.py" in _FILES


@pytest.mark.parametrize(("path", "variant"), itertools.product(_FILES, recipes.VARIANTS))
def test_is_valid_and_names_itself(path, variant):
  values = in_process.load_config(path, variant)
  if variant == "cycada":
    with pytest.raises(config_lib.UserError, match="Set translation.semantic_run"):
      config_lib.resolve(values)
    values.translation.semantic_run = "runs/trained"
  config = config_lib.resolve(values)
  stem = os.path.splitext(os.path.basename(path))[0]
  assert config.name == f"{stem}-{variant}"
  assert config.recipe == "translation"
  translation_run.check_size(config)
