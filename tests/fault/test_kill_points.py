"""A worker killed exactly at each transactional request loses nothing and doubles nothing."""

from collections.abc import Iterator

import pytest

from tests.fault.cluster import Cluster, cluster
from tests.fault.kill_points import KillPoints
from tests.fault.proxy import Api, Moment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker and one proxy for all points: each adds to the same chains."""
    with cluster(tmp_path_factory.mktemp("kill-points"), "classic", {"lexicon": {}}, print) as made:
        yield made


@pytest.fixture(scope="module")
def points(pipeline: Cluster) -> Iterator[KillPoints]:
    """The run so far."""
    made = KillPoints(pipeline, seed=1)
    yield made
    made.end()


# The broker has done it and the worker does not know: at each request. Before it: where the difference is greatest.
# All twelve, under both protocols: `make faults`.
POINTS = [(api, Moment.reply_held) for api in Api] + [(Api.EndTxn, Moment.request_seen)]


@pytest.mark.parametrize(("api", "moment"), POINTS, ids=lambda each: each.name)
def test_killed_exactly_there(points: KillPoints, api: Api, moment: Moment) -> None:
    """Whatever the broker knew of the transaction, the successor leaves each record with one leaf and one outcome."""
    verdict = points.judged(api, moment)
    assert not verdict.anomalies, verdict.report()


def test_no_kind_of_request_is_missing(points: KillPoints, pipeline: Cluster) -> None:
    """A client library that stops sending one of them (KIP-890) must not shrink this test in silence."""
    assert set(pipeline.proxy.seen) == {api.name for api in Api}
