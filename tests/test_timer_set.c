/*
 * The structure behind timers: against a plain model, with memory refused, and its bound on slack.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/alloc.h"
#include "core/timer_set.h"
#include "tests/fixture.h"

#define NONE AIO_TIMERS_NONE

/* What the model knows of a timer. */
typedef struct Known {
    AioTimer timer;
    uint64_t deadline; /* NONE: not in the set */
    uint64_t order;
    bool later;
} Known;

static uint64_t next_random(void)
{
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed >> 11;
}

static bool before(const Known *a, const Known *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

/* The model's answer to aio__timer_set_take(). */
static Known *model_first(Known *known, size_t count, uint64_t now)
{
    Known *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!known[i].later && known[i].deadline <= now && (!first || before(&known[i], first))) {
            first = &known[i];
        }
    }
    return first;
}

static uint64_t model_earliest(const Known *known, size_t count)
{
    uint64_t earliest = NONE;
    for (size_t i = 0; i < count; i++) {
        earliest = known[i].deadline < earliest ? known[i].deadline : earliest;
    }
    return earliest;
}

static void model_bring_back(Known *known, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        known[i].later = false;
    }
}

enum { COUNT = 200 };

typedef struct Model {
    AioTimerSet set;
    Known known[COUNT];
    uint64_t orders;
    uint64_t now;
} Model;

static void put(Model *m, Known *one, uint64_t deadline, bool later)
{
    one->deadline = deadline;
    one->order = ++m->orders;
    one->later = later;
    aio__timer_set_put(&m->set, &one->timer, deadline, later);
}

static void take_out(Model *m, Known *one)
{
    aio__timer_set_remove(&m->set, &one->timer);
    one->deadline = NONE;
    one->later = false;
}

/* Some or all of what is due, and in between what callbacks do. */
static void run(Model *m, unsigned most)
{
    m->now += next_random() % 30;
    uint64_t reached = m->now;
    for (Known *first; most > 0; most--) {
        first = model_first(m->known, COUNT, m->now);
        AioTimer *taken = aio__timer_set_take(&m->set, m->now, UINT64_MAX);
        assert_ptr_equal(taken, first ? &first->timer : NULL);
        if (!first) {
            break;
        }
        assert_int_equal(aio__timer_set_deadline(&m->set, taken), NONE);
        first->deadline = NONE;
        uint64_t r = next_random();
        Known *one = r & 4096 ? first : &m->known[r / 16 % COUNT];
        if (r % 3 == 0) {
            put(m, one, reached - r / 8192 % 20, true);
        } else if (r % 3 == 1) {
            put(m, one, reached + 1 + r / 8192 % 50, false);
        } else {
            take_out(m, one);
        }
        assert_int_equal(aio__timer_set_earliest_without(&m->set, 0),
                         model_earliest(m->known, COUNT));
        assert_true(aio__timer_set_earliest(&m->set) <= model_earliest(m->known, COUNT));
        if (r % 64 == 0) { /* set back */
            m->now -= 10;
        }
    }
    aio__timer_set_give_back(&m->set);
}

static void behaves_as_a_plain_model(void **state)
{
    (void)state;
    static Model m;
    m.now = 1000000;
    aio__timer_set_init(&m.set);
    for (size_t i = 0; i < COUNT; i++) {
        m.known[i].deadline = NONE;
    }
    for (unsigned step = 0; step < 30000 * fixture_long(); step++) {
        uint64_t r = next_random();
        Known *one = &m.known[r / 16 % COUNT];
        switch (r % 8) {
        case 0:
            take_out(&m, one);
            break;
        case 1:
            run(&m, (unsigned)(r / 4096 % 40));
            break;
        case 2:
            aio__timer_set_bring_back(&m.set);
            model_bring_back(m.known, COUNT);
            assert_int_equal(aio__timer_set_earliest(&m.set), model_earliest(m.known, COUNT));
            break;
        default:
            put(&m, one, m.now + r / 4096 % 50, r % 8 == 3);
        }
        assert_int_equal(aio__timer_set_deadline(&m.set, &one->timer), one->deadline);
        assert_true(aio__timer_set_earliest(&m.set) <= model_earliest(m.known, COUNT));
        assert_int_equal(aio__timer_set_earliest_without(&m.set, 0),
                         model_earliest(m.known, COUNT));
    }
    aio__timer_set_destroy(&m.set);
}

static void what_was_put_after_the_limit_is_put_aside(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[3] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    aio__timer_set_put(&set, &known[0].timer, 7, false);
    uint64_t limit = set.order;
    aio__timer_set_put(&set, &known[1].timer, 5, false);
    aio__timer_set_put(&set, &known[2].timer, 9, false);
    assert_ptr_equal(aio__timer_set_take(&set, 8, limit), &known[0].timer);
    assert_null(aio__timer_set_take(&set, 8, limit));
    assert_int_equal(aio__timer_set_earliest(&set), 5);
    aio__timer_set_bring_back(&set);
    assert_ptr_equal(aio__timer_set_take(&set, 9, set.order), &known[1].timer);
    assert_ptr_equal(aio__timer_set_take(&set, 9, set.order), &known[2].timer);
    assert_int_equal(aio__timer_set_earliest(&set), NONE);
    aio__timer_set_destroy(&set);
}

static void a_growing_set_asks_for_memory_rarely(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    AioTimerSet set;
    AioTimer *timers = calloc(MANY, sizeof(*timers));
    assert_non_null(timers);
    aio__timer_set_init(&set);
    unsigned grown = 0;
    for (size_t i = 0; i < MANY; i++) {
        size_t capacity = set.heap.capacity;
        aio__timer_set_put(&set, &timers[i], next_random(), false);
        grown += set.heap.capacity != capacity;
    }
    assert_true(grown < 32);
    /* 80 bytes a timer with its share, at the worst moment */
    assert_true(sizeof(AioTimer) + set.heap.capacity * sizeof(AioTimerEntry) / MANY <= 80);
    aio__alloc_refuse_all(true);
    for (size_t i = 0; i < MANY; i++) { /* no more memory for moving, taking and putting back */
        aio__timer_set_put(&set, &timers[i], next_random(), i & 1);
    }
    aio__timer_set_bring_back(&set);
    uint64_t last = 0;
    for (size_t i = 0; i < MANY; i++) {
        uint64_t earliest = aio__timer_set_earliest(&set);
        assert_true(earliest >= last);
        last = earliest;
        assert_non_null(aio__timer_set_take(&set, UINT64_MAX - 1, UINT64_MAX));
    }
    assert_null(aio__timer_set_take(&set, UINT64_MAX - 1, UINT64_MAX));
    assert_false(aio__alloc_failed());
    aio__alloc_refuse_all(false);
    aio__timer_set_destroy(&set);
    free(timers);
}

/* As many timers as get into the heap, and then `more`, while memory is refused. */
static size_t fill(AioTimerSet *set, Known *known, size_t more, uint64_t deadline)
{
    size_t count = 0;
    for (; count < 5; count++) {
        aio__timer_set_put(set, &known[count].timer, deadline, false);
    }
    aio__alloc_refuse_all(true);
    while (!aio__timer_set_full(set)) {
        aio__timer_set_put(set, &known[count++].timer, deadline, false);
    }
    for (; more > 0; more--) {
        aio__timer_set_put(set, &known[count++].timer, deadline, false);
        assert_int_equal(aio__timer_set_deadline(set, &known[count - 1].timer), deadline);
        assert_true(aio__alloc_failed());
    }
    return count;
}

static void take_in_order(AioTimerSet *set, Known *known, size_t count, uint64_t now)
{
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(aio__timer_set_take(set, now, UINT64_MAX), &known[i].timer);
    }
    assert_null(aio__timer_set_take(set, now, UINT64_MAX));
    assert_int_equal(aio__timer_set_earliest(set), NONE);
}

static void with_memory_refused_all_run_in_arming_order(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[40] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    size_t count = fill(&set, known, 20, 1000);
    assert_null(aio__timer_set_take(&set, 999, UINT64_MAX));
    take_in_order(&set, known, count, 1000);
    aio__alloc_refuse_all(false);

    /* Granted again before they are due: all are in the heap then, and in order. */
    count = fill(&set, known, 20, 2000);
    aio__alloc_refuse_all(false);
    aio__timer_set_bring_back(&set);
    assert_null(set.overflow);
    take_in_order(&set, known, count, 2000);
    aio__timer_set_destroy(&set);
}

static void with_memory_refused_timers_move_and_leave(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[60] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    size_t count = fill(&set, known, 20, 1000);
    assert_int_equal(count % 2, 0);
    for (size_t i = 0; i < count; i += 2) { /* each second one is armed again: behind the others */
        aio__timer_set_put(&set, &known[i].timer, 1000, false);
    }
    aio__timer_set_remove(&set, &known[count - 1].timer);
    aio__timer_set_remove(&set, &known[1].timer);
    aio__timer_set_put(&set, &known[count - 2].timer, 500, false);
    assert_int_equal(aio__timer_set_earliest(&set), 500);
    assert_ptr_equal(aio__timer_set_take(&set, 500, UINT64_MAX), &known[count - 2].timer);
    for (size_t parity = 0; parity < 2; parity++) {
        for (size_t i = 1 - parity; i < count - 2; i += 2) {
            if (i != 1) {
                assert_ptr_equal(aio__timer_set_take(&set, 1000, UINT64_MAX), &known[i].timer);
            }
        }
    }
    assert_null(aio__timer_set_take(&set, 1000, UINT64_MAX));
    assert_int_equal(aio__timer_set_earliest(&set), NONE);
    aio__alloc_refuse_all(false);
    aio__timer_set_destroy(&set);
}

static void with_memory_refused_those_due_keep_their_places(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[30] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    size_t count = fill(&set, known, 0, 1000);
    assert_ptr_equal(aio__timer_set_take(&set, 1000, UINT64_MAX), &known[0].timer);
    for (size_t i = 0; i < 3; i++) { /* one fits in, in the place of the one that left */
        aio__timer_set_put(&set, &known[count + i].timer, 1001, false);
    }
    aio__timer_set_give_back(&set);
    assert_int_equal(set.heap.count, set.heap.capacity);
    take_in_order(&set, known + 1, count + 2, 1001);
    aio__alloc_refuse_all(false);
    aio__timer_set_destroy(&set);
}

static void with_memory_refused_the_earliest_is_known(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[30] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    size_t count = fill(&set, known, 3, 1000);
    aio__timer_set_put(&set, &known[count].timer, 700, false);
    aio__timer_set_put(&set, &known[count + 1].timer, 600, true);
    assert_int_equal(aio__timer_set_earliest(&set), 600);
    assert_int_equal(aio__timer_set_latest(&set), 600);
    assert_null(aio__timer_set_take(&set, 600, UINT64_MAX));
    aio__timer_set_bring_back(&set);
    assert_non_null(set.overflow);
    assert_int_equal(aio__timer_set_earliest(&set), 600);
    assert_ptr_equal(aio__timer_set_take(&set, 600, UINT64_MAX), &known[count + 1].timer);
    aio__timer_set_bring_back(&set);
    assert_int_equal(aio__timer_set_earliest(&set), 700);
    assert_int_equal(aio__timer_set_earliest_without(&set, 1), 700);
    aio__timer_set_remove(&set, &known[count].timer);
    take_in_order(&set, known, count, 1000);
    aio__alloc_refuse_all(false);
    aio__timer_set_destroy(&set);
}

static void with_memory_refused_later_still_means_later(void **state)
{
    (void)state;
    AioTimerSet set;
    Known known[30] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    size_t count = fill(&set, known, 3, 1000);
    AioTimer *first = aio__timer_set_take(&set, 1000, UINT64_MAX);
    assert_ptr_equal(first, &known[0].timer);
    aio__timer_set_put(&set, first, 1, true);
    assert_int_equal(aio__timer_set_earliest(&set), 1);
    for (size_t i = 1; i < count; i++) {
        assert_ptr_equal(aio__timer_set_take(&set, 1000, UINT64_MAX), &known[i].timer);
    }
    assert_null(aio__timer_set_take(&set, 1000, UINT64_MAX));
    aio__timer_set_bring_back(&set);
    assert_ptr_equal(aio__timer_set_take(&set, 1000, UINT64_MAX), first);
    aio__alloc_refuse_all(false);
    aio__timer_set_destroy(&set);
}

/* A context's timer that arms itself once more. */
typedef struct Twice {
    AioTimer timer;
    int runs;
    int *total;
    int order; /* of its first run */
} Twice;

static void run_twice(void *opaque)
{
    Twice *twice = opaque;
    if (twice->runs++ == 0) {
        twice->order = *twice->total;
        aio_timer_mod_ns(&twice->timer, 0);
    }
    ++*twice->total;
}

static void with_memory_refused_a_loop_runs_its_timers(AioContext *ctx)
{
    static Twice twice[40];
    int total = 0;
    aio__alloc_refuse_all(true);
    for (int i = 0; i < 40; i++) {
        twice[i] = (Twice){.total = &total};
        aio_timer_init(ctx, &twice[i].timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, run_twice,
                       &twice[i]);
        aio_timer_mod_ns(&twice[i].timer, 1);
    }
    for (int iteration = 1; iteration <= 2; iteration++) { /* once in each */
        assert_int_equal(aio_compute_timeout(ctx), 0);
        assert_true(drive(ctx, true));
        assert_int_equal(total, 40 * iteration);
    }
    assert_int_equal(aio_compute_timeout(ctx), -1);
    assert_false(drive(ctx, false));
    for (int i = 0; i < 40; i++) {
        assert_int_equal(twice[i].runs, 2);
        assert_int_equal(twice[i].order, i);
    }
    assert_true(aio__alloc_failed());
    aio__alloc_refuse_all(false);
}

static void latest_is_the_first_last_moment(void **state)
{
    (void)state;
    enum { FEW = 24 };
    AioTimerSet set;
    Known known[FEW] = {{.deadline = 0}};
    aio__timer_set_init(&set);
    assert_int_equal(aio__timer_set_latest(&set), NONE);
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t expected = NONE;
        for (size_t i = 0; i < FEW; i++) {
            uint64_t deadline = 1000000 + next_random() % 1000;
            known[i].timer.slack = (uint16_t)(next_random() % 500 << 5);
            aio__timer_set_put(&set, &known[i].timer, deadline, false);
            uint64_t moment = deadline + aio__timer_slack_ns(&known[i].timer);
            expected = moment < expected ? moment : expected;
        }
        assert_int_equal(aio__timer_set_latest(&set), expected);
    }
    for (size_t i = 0; i < FEW; i++) {
        aio__timer_set_remove(&set, &known[i].timer);
    }
    aio__timer_set_destroy(&set);
}

static void latest_of_many_is_never_too_late(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    static Known known[MANY];
    AioTimerSet set;
    aio__timer_set_init(&set);
    for (unsigned round = 0; round < 50; round++) {
        uint64_t expected = NONE, earliest = NONE;
        for (size_t i = 0; i < MANY; i++) {
            uint64_t deadline = 1000000 + next_random() % 100000;
            known[i].timer.slack = (uint16_t)(next_random() % 2048 << 5 | next_random() % 6);
            aio__timer_set_put(&set, &known[i].timer, deadline, false);
            uint64_t moment = deadline + aio__timer_slack_ns(&known[i].timer);
            expected = moment < expected ? moment : expected;
            earliest = deadline < earliest ? deadline : earliest;
        }
        uint64_t latest = aio__timer_set_latest(&set);
        assert_true(latest <= expected);
        assert_true(latest > earliest); /* it is of use */
    }
    aio__timer_set_destroy(&set);
}

static void slack_is_kept_to_three_digits_and_rounded_down(AioContext *ctx)
{
    AioTimer timer;
    aio_timer_init(ctx, &timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, free, NULL);
    for (int64_t slack = 0; slack < INT64_C(4395000000000); slack += slack / 7 + 1) {
        aio_timer_set_slack(&timer, slack);
        int64_t kept = (int64_t)aio__timer_slack_ns(&timer);
        assert_true(kept <= slack && slack - kept <= slack / 1000);
    }
    aio_timer_set_slack(&timer, INT64_MAX);
    assert_true(aio__timer_slack_ns(&timer) > UINT64_C(4395000000000));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(behaves_as_a_plain_model),
    cmocka_unit_test(what_was_put_after_the_limit_is_put_aside),
    cmocka_unit_test(a_growing_set_asks_for_memory_rarely),
    cmocka_unit_test(with_memory_refused_all_run_in_arming_order),
    cmocka_unit_test(with_memory_refused_timers_move_and_leave),
    cmocka_unit_test(with_memory_refused_those_due_keep_their_places),
    cmocka_unit_test(with_memory_refused_the_earliest_is_known),
    cmocka_unit_test(with_memory_refused_later_still_means_later),
    cmocka_unit_test_home(with_memory_refused_a_loop_runs_its_timers),
    cmocka_unit_test(latest_is_the_first_last_moment),
    cmocka_unit_test(latest_of_many_is_never_too_late),
    cmocka_unit_test_home(slack_is_kept_to_three_digits_and_rounded_down),
};

TEST_MAIN(tests)
