"""Parts of a job: their reports add up to the whole, and their notes appear once, under their name."""

from __future__ import annotations

import pytest

from inrcodec.progress import EncodePlan, FitReport, Part, Picture, Silent

PLAN = EncodePlan("clip.mp4", 64, 48, 10, "inrc", 1000, 500, "cpu", None, None)


class Told(Silent):
    """Records everything that it is told."""

    def __init__(self) -> None:
        self.fits: list[FitReport] = []
        self.notes: list[str] = []
        self.details: list[str] = []
        self.stages: list[str] = []
        self.plans: list[EncodePlan] = []

    def fit(self, report: FitReport) -> None:
        self.fits.append(report)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def detail(self, message: str) -> None:
        self.details.append(message)

    def stage(self, name: str, done: int, total: int) -> None:
        self.stages.append(name)

    def plan(self, plan: EncodePlan) -> None:
        self.plans.append(plan)


def report(fraction: float, seconds_left: float, psnr_db: float = 30.0) -> FitReport:
    return FitReport(fraction, psnr_db, 0.1, 4.0, seconds_left)


def test_a_job_of_one_part_is_as_far_as_this_part() -> None:
    told = Told()
    Part(told).part(1.0).fit(report(0.25, 30))
    (found,) = told.fits
    assert found == report(0.25, pytest.approx(30))


def test_parts_after_this_one_take_as_long_as_this_one() -> None:
    told = Told()
    whole = Part(told)
    first, second = whole.part(0.5), whole.part(0.5)
    first.fit(report(0.5, 10))
    # Each part takes 20 seconds; 10 seconds of this one are left, and all of the other.
    assert (told.fits[-1].fraction, told.fits[-1].seconds_left) == (0.25, pytest.approx(30))
    first.fit(report(1.0, 0))
    assert (told.fits[-1].fraction, told.fits[-1].seconds_left) == (0.5, pytest.approx(20))
    first.end()
    second.fit(report(0.0, 20))
    assert (told.fits[-1].fraction, told.fits[-1].seconds_left) == (0.5, pytest.approx(20))


def test_parts_at_once_are_added_up_by_their_shares() -> None:
    told = Told()
    whole = Part(told)
    large, small = whole.part(0.6), whole.part(0.2)
    large.fit(report(0.5, 10, psnr_db=30))
    small.fit(report(0.5, 10, psnr_db=34))
    found = told.fits[-1]
    assert found.fraction == pytest.approx(0.4)
    assert found.psnr_db == pytest.approx((0.6 * 30 + 0.2 * 34) / 0.8)
    assert found.steps_per_second == 8
    # Together they do 0.04 of the whole per second.
    assert found.seconds_left == pytest.approx(0.6 / 0.04)


def test_parts_nest() -> None:
    told = Told()
    job = Part(told)
    for number in range(2):
        source = job.part(0.5, name=f"{number}.mp4")
        for _ in range(2):
            segment = source.part(0.5)
            segment.fit(report(0.5, 10))
            segment.end()
        source.note("done")
        source.end()
    assert [one.fraction for one in told.fits] == [0.125, 0.375, 0.625, 0.875]
    assert told.notes == ["0.mp4: done", "1.mp4: done"]


def test_a_part_that_fails_counts_as_done() -> None:
    told = Told()
    job = Part(told)
    failed, other = job.part(0.5), job.part(0.5)
    failed.fit(report(0.5, 10))
    failed.end()
    other.fit(report(0.5, 10))
    assert told.fits[-1].fraction == 0.75


def test_a_fit_without_time_left_ends_at_once() -> None:
    told = Told()
    Part(told).part(1.0).fit(report(1.0, 0.0))
    assert (told.fits[-1].fraction, told.fits[-1].seconds_left) == (1.0, 0.0)


def test_remarks_pass_once_or_not_at_all() -> None:
    told = Told()
    whole = Part(told, repeats_notes=False)
    for part in (Part(whole), Part(whole), Part(whole, has_notes=False, has_stages=False)):
        part.note("the input is damaged")
        part.detail("a step")
        part.stage("reading", 1, 2)
    assert told.notes == ["the input is damaged"]
    assert told.details == ["a step"] * 3
    assert told.stages == ["reading"] * 2


def test_plans_pictures_and_expectations_go_where_they_are_wanted() -> None:
    told = Told()
    wanted: list[object] = []
    part = Part(
        told, title="clip.mp4, fit 2", pictures=wanted.append, expects=lambda *one: wanted.append(one)
    )
    inner = part.part(1.0)
    inner.plan(PLAN)
    inner.expect(12.0, None)

    def draw() -> Picture:
        raise AssertionError("no picture was requested")

    inner.picture(draw)
    assert [plan.source for plan in told.plans] == ["clip.mp4, fit 2"]
    assert wanted == [(12.0, None), draw]
