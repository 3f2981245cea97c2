"""Hearing, put together: the log of answers, and connections to model servers."""

from contextlib import ExitStack

from prometheus_ai.adapters.metrics.prometheus.query import PrometheusQuery
from prometheus_ai.adapters.replicas.http.reader import HttpReplicaReader
from prometheus_ai.adapters.stores.answers.log import SqliteAnswerLog
from prometheus_ai.compose.settings import Settings
from prometheus_ai.control.plane import Hearing, Prices


def open_database(settings: Settings, resources: ExitStack) -> PrometheusQuery | None:
    """Open connections to the metrics database that the settings name, if they name one."""
    if settings.prometheus_url is None:
        return None
    database = PrometheusQuery(settings.prometheus_url)
    resources.callback(database.close)
    return database


def open_hearing(settings: Settings, resources: ExitStack) -> Hearing:
    """Open what listening to replicas needs; a file of answers that cannot be written keeps nobody from serving."""
    log = SqliteAnswerLog.open(settings.database.parent / "answers.db")
    resources.callback(log.close)
    replicas = HttpReplicaReader()
    resources.callback(replicas.close)
    prices = Prices(
        cpu_hour=settings.price_cpu_hour,
        gib_hour=settings.price_gib_hour,
        gpu_hour=settings.price_gpu_hour,
    )
    return Hearing(log=log, replicas=replicas, prices=prices)
