"""What the demo runs on: broker, rules database, inbox, worker and delivery daemon, and their end.

All of it lives in this process and in one temporary folder; taking it down leaves nothing behind.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from consumer import wiring
from consumer.demo_broker import PROPERTIES, DemoBroker
from consumer.demo_events import Scene
from consumer.demo_telling import Told, tell
from consumer.evaluating import whole_milliseconds
from consumer.inbox import Inbox
from consumer.logs import JsonLines
from consumer.registry import PublishedSchemas
from consumer.settings import REQUIRED_BY_DELIVER, REQUIRED_BY_RUN, Settings, load_settings
from mailer.migrating import upgrade as upgrade_ledger
from rules_store.migrating import upgrade as upgrade_rules
from rules_store.snapshot import Snapshot
from rules_store.sql import SqlRulesStore, engine_for
from schemas.codec import Codec
from schemas.framing import single_object_prefix
from schemas.plans import Decision
from schemas.published import OUTGOING_MAIL, published
from schemas.vocabulary import EventType, MailId
