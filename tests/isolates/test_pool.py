"""The pool's promises, over whatever it may be given, and over whole lives of a pool."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.pool import (
    Assign,
    Evict,
    Idle,
    Member,
    Policy,
    Refuse,
    Shared,
    Start,
    Waiting,
    plan,
    starts_at_once,
)

NOW = 1000.0
POLICY = Policy(isolates=2, concurrency=2, queue=3, queue_s=5, cost=10, idle_s=300)
ROOMY = Shared(isolates=0, maximum=100, used=0, budget=1000)


def member(number, state=State.IDLE, invocations=0, stepping=False, idle_since=NOW):
    return Member(number, state, invocations, stepping, idle_since)


def busy(number, invocations=1, stepping=False):
    return member(number, State.BUSY, invocations, stepping)


def ask(*numbers, since=NOW):
    return [Waiting(number, since) for number in numbers]


def test_nothing_to_do():
    assert plan(POLICY, [], [], ROOMY, NOW) == []
    assert plan(POLICY, [member(1)], [], ROOMY, NOW) == []


def test_the_first_request_starts_an_isolate():
    assert plan(POLICY, [], ask(7), ROOMY, NOW) == [Start(7)]


def test_a_warm_isolate_is_used_again():
    assert plan(POLICY, [member(1)], ask(7), ROOMY, NOW) == [Assign(7, 1)]


def test_a_busy_isolate_that_waits_takes_more_up_to_its_concurrency():
    policy = replace(POLICY, isolates=1)
    assert plan(policy, [busy(1)], ask(7, 8), ROOMY, NOW) == [Assign(7, 1)]


def test_the_least_loaded_isolate_that_is_not_running_goes_first():
    policy = replace(POLICY, concurrency=10)
    assert plan(policy, [busy(1, 0, stepping=True), busy(2, 5), busy(3, 4)], ask(7), ROOMY, NOW) == [
        Assign(7, 3)
    ]


def test_a_running_isolate_is_not_waited_for_while_another_may_start():
    assert plan(POLICY, [busy(1, stepping=True)], ask(7), ROOMY, NOW) == [Start(7)]
    assert plan(replace(POLICY, isolates=1), [busy(1, stepping=True)], ask(7), ROOMY, NOW) == [Assign(7, 1)]


@given(
    st.builds(
        replace, st.just(POLICY), fresh=st.booleans(), isolates=st.integers(1, 4), cost=st.integers(0, 30)
    ),
    st.integers(0, 4),
    st.builds(Shared, st.integers(0, 3), st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)),
)
def test_what_starts_at_once_is_what_the_plan_would_start(policy, members, shared):
    busy_ones = [busy(number) for number in range(members)]
    if starts_at_once(policy, members, shared):
        assert plan(policy, busy_ones, ask(7), shared, NOW) == [Start(7)]
    elif policy.fresh:
        assert plan(policy, busy_ones, ask(7), shared, NOW) == []


@pytest.mark.parametrize("state", [State.COLD, State.DRAINING, State.DEAD])
def test_only_live_isolates_take_work(state):
    assert plan(POLICY, [member(1, state)], ask(7), ROOMY, NOW) == [Start(7)]


def test_fresh_gives_every_request_its_own_isolate_and_keeps_none():
    policy = replace(POLICY, fresh=True, isolates=3)
    assert plan(policy, [busy(1)], ask(7, 8, 9), ROOMY, NOW) == [Start(7), Start(8)]
    assert plan(policy, [member(1)], [], ROOMY, NOW) == [Evict(1)]


def test_a_request_that_waited_too_long_is_refused_even_if_there_is_room_now():
    assert plan(POLICY, [member(1)], ask(7, since=NOW - 5), ROOMY, NOW) == [Refuse(7)]


def test_the_queue_refuses_the_latest():
    policy = replace(POLICY, isolates=0)
    assert plan(policy, [], ask(1, 2, 3, 4, 5), ROOMY, NOW) == [Refuse(4), Refuse(5)]


def test_idle_isolates_end_after_a_while_unless_they_get_work():
    old = member(1, idle_since=NOW - 300)
    assert plan(POLICY, [old, member(2, idle_since=NOW - 299)], [], ROOMY, NOW) == [Evict(1)]
    assert plan(POLICY, [old], ask(7), ROOMY, NOW) == [Assign(7, 1)]


def test_others_idle_isolates_make_room_the_oldest_first_and_no_more_than_needed():
    shared = Shared(3, 3, 30, 1000, [Idle(11, 1, 10), Idle(12, 2, 10), Idle(13, 3, 10)])
    assert plan(POLICY, [], ask(7), shared, NOW) == [Evict(11), Start(7)]
    tight = replace(shared, maximum=100, budget=25)
    assert plan(POLICY, [], ask(7), tight, NOW) == [Evict(11), Evict(12), Start(7)]


def test_no_isolate_is_evicted_for_a_start_that_does_not_fit_anyway():
    shared = Shared(3, 3, 1000, 15, [Idle(11, 1, 10)])
    assert plan(POLICY, [], ask(7), shared, NOW) == []


def test_victims_that_were_not_enough_for_one_start_are_not_lost_for_the_next_plan():
    shared = Shared(2, 100, 40, 40, [Idle(11, 1, 5)])
    assert plan(POLICY, [], ask(7, 8), shared, NOW) == []
    assert plan(POLICY, [], ask(7, 8), replace(shared, idle=[*shared.idle, Idle(12, 2, 5)]), NOW)[
        -1
    ] == Start(7)


def test_an_isolate_that_has_just_been_given_a_request_is_not_evicted_for_another():
    """Its own idle isolate is full with one request, and the oldest in the list when room is needed."""
    policy = replace(POLICY, concurrency=1)
    shared = Shared(1, 1, 10, 1000, [Idle(1, 1, 10)])
    assert plan(policy, [member(1)], ask(7, 8), shared, NOW) == [Assign(7, 1)]


def test_one_isolate_may_always_live():
    assert plan(POLICY, [], ask(7), Shared(0, 0, 0, 0), NOW) == [Start(7)]
    assert plan(POLICY, [], ask(7), Shared(1, 0, 10, 0, [Idle(11, 1, 10)]), NOW) == [Evict(11), Start(7)]


def test_idle_isolates_are_not_looked_at_while_there_is_room():
    def explode():
        raise AssertionError("looked at")
        yield

    shared = replace(ROOMY, idle=explode())
    assert plan(POLICY, [member(1)], ask(7, 8, 9), shared, NOW) == [Assign(7, 1), Assign(8, 1), Start(9)]


# properties -----------------------------------------------------------------------------------------------------------

numbers = st.integers(0, 6)


@st.composite
def situations(draw):
    policy = Policy(
        isolates=draw(st.integers(0, 5)),
        concurrency=draw(st.integers(1, 3)),
        queue=draw(numbers),
        queue_s=draw(st.integers(1, 5)),
        fresh=draw(st.booleans()),
        cost=draw(st.integers(1, 10)),
        idle_s=draw(st.integers(0, 10)),
    )
    members = []
    for number in range(draw(numbers)):
        state = draw(st.sampled_from([state for state in State if state is not State.COLD]))
        load = draw(st.integers(1, policy.concurrency)) if state in (State.BUSY, State.DRAINING) else 0
        since = NOW - draw(st.integers(0, 20))
        members.append(Member(number, state, load, state is not State.IDLE and draw(st.booleans()), since))
    since = sorted(draw(st.lists(st.integers(0, 8), max_size=10)), reverse=True)
    waiting = [Waiting(number, NOW - age) for number, age in enumerate(since)]
    others = [
        Idle(100 + n, NOW - draw(st.integers(0, 20)), draw(st.integers(0, 10))) for n in range(draw(numbers))
    ]
    mine = [Idle(each.id, each.idle_since, policy.cost) for each in members if each.state is State.IDLE]
    idle = sorted(others + mine, key=lambda each: each.idle_since)
    isolates = len(members) + len(others) + draw(numbers)
    used = sum(each.cost for each in idle) + draw(st.integers(0, 30))
    shared = Shared(isolates, draw(st.integers(0, 15)), used, draw(st.integers(0, 80)), idle)
    return policy, members, waiting, shared


def of(kind, actions):
    return [action for action in actions if isinstance(action, kind)]


@given(situations())
def test_no_request_is_lost_or_given_twice(situation):
    policy, members, waiting, shared = situation
    actions = plan(policy, members, waiting, shared, NOW)
    handled = [action.request for action in actions if not isinstance(action, Evict)]
    assert len(handled) == len(set(handled))
    assert set(handled) <= {request.id for request in waiting}
    still = [request for request in waiting if request.id not in handled]
    assert len(still) <= policy.queue
    assert all(NOW - request.since < policy.queue_s for request in still)


@given(situations())
def test_limits_are_kept(situation):
    policy, members, waiting, shared = situation
    actions = plan(policy, members, waiting, shared, NOW)
    started, victims = of(Start, actions), {action.isolate for action in of(Evict, actions)}
    if started:
        assert len(members) + len(started) <= policy.isolates
    load = {each.id: each.invocations for each in members}
    for action in of(Assign, actions):
        load[action.isolate] += 1
        assert load[action.isolate] <= policy.concurrency
        assert action.isolate not in victims
    assert not (policy.fresh and of(Assign, actions))


@given(situations())
def test_the_shared_room_is_kept_at_every_single_start(situation):
    policy, members, waiting, shared = situation
    isolates, used = shared.isolates, shared.used
    costs = {each.id: each.cost for each in shared.idle}
    for action in plan(policy, members, waiting, shared, NOW):
        if isinstance(action, Evict):
            isolates, used = isolates - 1, used - costs[action.isolate]
        elif isinstance(action, Start):
            first = isolates == 0
            isolates, used = isolates + 1, used + policy.cost
            assert first or (isolates <= shared.maximum and used <= shared.budget)


@given(situations())
def test_only_idle_isolates_are_evicted_the_oldest_first_and_only_as_needed(situation):
    policy, members, waiting, shared = situation
    actions = plan(policy, members, waiting, shared, NOW)
    evicted = [action.isolate for action in of(Evict, actions)]
    assert len(evicted) == len(set(evicted))
    assert set(evicted) <= {each.id for each in shared.idle}
    assigned = {action.isolate for action in of(Assign, actions)}
    assert not assigned & set(evicted)
    expired = {each.id for each in members if policy.fresh or NOW - each.idle_since >= policy.idle_s}
    last = max((n for n, action in enumerate(actions) if isinstance(action, Start)), default=-1)
    for_room = [action.isolate for action in actions[: last + 1] if isinstance(action, Evict)]
    assert set(evicted) - set(for_room) <= expired
    free = {each.id for each in members if each.state is State.IDLE} if not policy.fresh else set()
    candidates = [each.id for each in shared.idle if each.id not in free]
    assert for_room == candidates[: len(for_room)]
    isolates, used = shared.isolates, shared.used
    costs = {each.id: each.cost for each in shared.idle}
    for action in actions[: last + 1]:
        if isinstance(action, Evict):
            assert isolates >= shared.maximum or used + policy.cost > shared.budget
            assert isolates > 0
            isolates, used = isolates - 1, used - costs[action.isolate]
        elif isinstance(action, Start):
            isolates, used = isolates + 1, used + policy.cost


@given(situations())
def test_no_request_waits_while_an_isolate_could_take_it(situation):
    policy, members, waiting, shared = situation
    actions = plan(policy, members, waiting, shared, NOW)
    handled = {action.request for action in actions if not isinstance(action, Evict)} - {
        action.request
        for action in of(Refuse, actions)
        if NOW - waiting[action.request].since < policy.queue_s
    }
    if all(request.id in handled for request in waiting):
        return
    load = {each.id: each.invocations for each in members}
    for action in of(Assign, actions):
        load[action.isolate] += 1
    able = [
        m
        for m in members
        if m.state in (State.STARTING, State.IDLE, State.BUSY) and load[m.id] < policy.concurrency
    ]
    assert policy.fresh or not able
    started = len(of(Start, actions))
    full = (
        shared.isolates + started >= shared.maximum
        or shared.used + (started + 1) * policy.cost > shared.budget
    )
    assert len(members) + started >= policy.isolates or (shared.isolates + started > 0 and full)


@given(situations())
def test_requests_are_taken_in_the_order_of_their_arrival(situation):
    policy, members, waiting, shared = situation
    actions = plan(policy, members, waiting, shared, NOW)
    taken = [action.request for action in actions if isinstance(action, Assign | Start)]
    late = [action.request for action in of(Refuse, actions)]
    assert taken == sorted(taken)
    fitting = [number for number in taken if all(number < other for other in late if other not in taken)]
    assert fitting == sorted(fitting)


class Life(RuleBasedStateMachine):
    """A shell as simple as can be performs every plan: what is promised of one plan has to hold for a life of them."""

    @initialize(
        isolates=st.integers(1, 4),
        concurrency=st.integers(1, 3),
        fresh=st.booleans(),
        budget=st.integers(0, 60),
    )
    def begin(self, isolates, concurrency, fresh, budget):
        self.policy = Policy(isolates, concurrency, queue=4, queue_s=5, fresh=fresh, cost=10, idle_s=20)
        self.budget, self.maximum = budget, 5
        self.now = 0.0
        self.members = {}
        self.others = {}
        self.waiting = {}
        self.asked = self.answered = self.refused = 0
        self.next = 1

    def number(self):
        self.next += 1
        return self.next

    def shared(self):
        mine = [Idle(n, m["idle"], 10) for n, m in self.members.items() if not m["load"]]
        theirs = [Idle(n, since, 10) for n, since in self.others.items()]
        count = len(self.members) + len(self.others)
        idle = sorted(mine + theirs, key=lambda each: each.idle_since)
        return Shared(count, self.maximum, count * 10, self.budget, idle)

    @rule()
    def perform(self):
        members = [
            Member(n, State.BUSY if m["load"] else State.IDLE, m["load"], m["stepping"], m["idle"])
            for n, m in self.members.items()
        ]
        waiting = [Waiting(n, since) for n, since in self.waiting.items()]
        for action in plan(self.policy, members, waiting, self.shared(), self.now):
            match action:
                case Assign(request, isolate):
                    del self.waiting[request]
                    self.members[isolate]["load"] += 1
                case Start(request):
                    del self.waiting[request]
                    self.members[self.number()] = {"load": 1, "stepping": True, "idle": 0.0}
                case Evict(isolate) if isolate in self.members:
                    assert self.members.pop(isolate)["load"] == 0
                case Evict(isolate):
                    del self.others[isolate]
                case Refuse(request):
                    del self.waiting[request]
                    self.refused += 1

    @rule()
    def arrive(self):
        self.asked += 1
        self.waiting[self.number()] = self.now

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds):
        self.now += seconds

    @rule(data=st.data())
    def finish(self, data):
        if loaded := [n for n, m in self.members.items() if m["load"]]:
            each = self.members[data.draw(st.sampled_from(loaded))]
            each.update(load=each["load"] - 1, stepping=False, idle=self.now)
            self.answered += 1

    @rule()
    def another_worker_rests(self):
        if len(self.members) + len(self.others) < self.maximum:
            self.others[self.number()] = self.now

    @invariant()
    def all_is_accounted_for(self):
        if not hasattr(self, "policy"):
            return
        inside = sum(each["load"] for each in self.members.values())
        assert self.asked == self.answered + self.refused + inside + len(self.waiting)
        assert len(self.members) <= self.policy.isolates
        assert all(each["load"] <= self.policy.concurrency for each in self.members.values())
        assert len(self.members) + len(self.others) <= max(self.maximum, 1)


TestLife = Life.TestCase
