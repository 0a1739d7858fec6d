"""Parts of a job: their reports add up to the whole, and their notes appear once, under their name."""

from __future__ import annotations

import pytest

from inrcodec.progress import FIT, EncodePlan, FitReport, JobReport, Part, Picture, Silent

PLAN = EncodePlan("clip.mp4", 64, 48, 10, "inrc", 1000, 500, "cpu", None, None)


class Told(Silent):
    """Records everything that it is told."""

    def __init__(self) -> None:
        self.fits: list[FitReport] = []
        self.jobs: list[JobReport] = []
        self.notes: list[str] = []
        self.details: list[str] = []
        self.stages: list[str] = []
        self.plans: list[EncodePlan] = []

    def fit(self, report: FitReport) -> None:
        self.fits.append(report)

    def job(self, report: JobReport) -> None:
        self.jobs.append(report)

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


PHASES = (("first", 0.25), ("again", 0.25), (FIT, 0.25), ("again", 0.25))


def test_stages_are_one_fraction_that_never_falls() -> None:
    told = Told()
    part = Part(told, phases=PHASES)
    for name, done in (("first", 2), ("again", 1), ("again", 4), ("again", 1)):
        part.stage(name, done, 4)
    part.fit(report(0.5, 1, psnr_db=31.0))
    part.stage("again", 2, 4)
    part.stage("unknown", 4, 4)
    assert [job.fraction for job in told.jobs] == [0.125, 0.3125, 0.5, 0.5, 0.625, 0.875]
    assert told.jobs[0].doing == "first 2/4"
    # The fit measured it last.
    assert [job.psnr_db for job in told.jobs] == [None] * 4 + [31.0] * 2


def test_what_is_measured_stands_in_the_reports_of_stages_that_follow() -> None:
    told = Told()
    segment = Part(told).part(0.5, phases=PHASES)
    segment.stage("first", 1, 4)
    # A fit reports through parts that only carry pictures and notes.
    Part(segment).measured(33.5, 0.05)
    segment.stage("again", 1, 4)
    assert [(job.psnr_db, job.bpp) for job in told.jobs] == [(None, None), (33.5, 0.05)]


def test_the_time_left_moves_from_the_estimate_to_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    told = Told()
    part = Part(told, phases=(("work", 1.0),), expected_seconds=10.0)
    part.stage("work", 0, 4)
    now = 120.0
    for done in (2, 4):
        part.stage("work", done, 4)
    # Half took 20 seconds, so that the whole takes 40, where 10 were expected.
    assert [job.seconds_left for job in told.jobs] == [10.0, pytest.approx(0.5 * (5 + 20)), 0.0]
    part.expect_more(7.0)
    assert part.expected_seconds == 27.0


def test_a_part_with_a_deadline_is_as_far_as_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    told = Told()
    part = Part(told, phases=(("work", 1.0),), ends=40.0)
    part.stage("work", 1, 2)
    now = 30.0
    part.stage("work", 1, 2)
    assert (told.jobs[-1].fraction, told.jobs[-1].seconds_left) == (0.75, 10.0)


def test_jobs_nest_and_say_where_they_are() -> None:
    told = Told()
    job = Part(told)
    reading = job.part(0.1, phases=(("reading", 1.0),), predicts=False)
    reading.stage("reading", 1, 2)
    assert (told.jobs[-1].fraction, told.jobs[-1].seconds_left) == (0.05, None)
    reading.end()
    rung = job.part(0.45, place="fit 1 of 2")
    inside = Part(rung)
    segment = inside.part(0.5, place="segment 1 of 2", phases=(("work", 1.0),), expected_seconds=8.0)
    segment.stage("work", 0, 2)
    found = told.jobs[-1]
    assert (found.fraction, found.place, found.doing) == (0.1, "fit 1 of 2, segment 1 of 2", "work 0/2")
    # Two segments in each of two fits, each as long as this one.
    assert found.seconds_left == pytest.approx(4 * 8.0)
    segment.end()
    inside.psnr_db, inside.bpp = 35.0, 0.25
    inside.part(0.5, place="segment 2 of 2", phases=(("work", 1.0),)).stage("work", 1, 2)
    found = told.jobs[-1]
    assert (found.fraction, found.psnr_db, found.bpp) == (pytest.approx(0.1 + 0.45 * 0.75), 35.0, 0.25)


def test_jobs_at_once_are_added_up() -> None:
    told = Told()
    whole = Part(told)
    for share in (0.6, 0.4):
        whole.part(share, phases=(("work", 1.0),), expected_seconds=10.0).stage("work", 1, 2)
    assert told.jobs[-1].fraction == pytest.approx(0.5)
