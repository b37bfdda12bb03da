"""Column types that the tables share."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated

import sqlalchemy as sa
from sqlalchemy.orm import mapped_column

Id = Annotated[int, mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)]
"""64-bit identity key (MODEL-2)."""

At = Annotated[datetime, mapped_column(sa.DateTime(timezone=True))]
"""A moment, stored in UTC (MODEL-100)."""

CreatedAt = Annotated[datetime, mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())]
"""When the row was made; the database fills it in."""

Digest = Annotated[bytes, mapped_column(sa.LargeBinary)]
"""A raw MD5 (16 bytes) or SHA-1 (20 bytes)."""


def one_of(column: str, values: Iterable[Enum]) -> sa.CheckConstraint:
    """A named CHECK that `column` holds one of an enumeration's values; easy to widen in a migration (MODEL-100)."""
    listed = ", ".join(f"'{v.value}'" for v in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)
