"""The one room that speaks to Azure: `open_cloud` gives a `Cloud` for a target, until its block is left.

Importing it is cheap; the Azure packages are loaded when a cloud is opened.
"""

from reconciler.cloud.budget import Budgets
from reconciler.cloud.session import CloudSettings, ReadOnlyViolation, open_cloud

__all__ = ["Budgets", "CloudSettings", "ReadOnlyViolation", "open_cloud"]
