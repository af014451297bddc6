/*
 * Coroutines that move between contexts and threads, and contexts that end under them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/compiler.h"
#include "tests/co_help.h"

static _Thread_local char here; /* its address names the thread */

/* Out of line: a coroutine must not keep the address over a yield. */
AIO__NOT_INLINED static char *thread_now(void)
{
    return &here;
}

static void learn_thread(void *opaque)
{
    char **thread = opaque;
    *thread = thread_now();
}

/* Whether everything that a coroutine can ask for says that it runs in `ctx`, in that thread. */
static bool is_at(AioCoroutine *self, AioContext *ctx, const char *thread)
{
    return aio_co_self() == self && aio_co_in_coroutine() && aio_co_entered(self) &&
           aio_context_current() == ctx && aio_co_context(self) == ctx &&
           aio_context_in_home_thread(ctx) && thread_now() == thread;
}

typedef struct Journey {
    CoLoops loops;
    char *threads[CO_LOOPS_MAX];
    AioContext *home; /* the test's */
    int rounds;
    int least; /* rounds however long they take */
    int64_t end;
    int moves;
    int wrong;
    atomic_int done;
} Journey;

static void begin_journey(Journey *j, int loops)
{
    co_loops_start(&j->loops, loops);
    for (int i = 0; i < loops; i++) {
        assert_true(aio_wait_bh(j->loops.ctx[i], learn_thread, &j->threads[i], NULL));
    }
    j->home = fixture_context();
    j->end = co_end();
}

static void end_journey(Journey *j)
{
    co_drive_until(j->home, &j->done, 1);
    co_loops_join(&j->loops);
    fixture_context_free(j->home);
    assert_int_equal(j->wrong, 0);
}

/* Back home at the end, which is how the test comes to know of it. */
static void go_home(Journey *j)
{
    aio_co_reschedule_self(j->home);
    atomic_store(&j->done, 1);
}

static void travel(void *opaque)
{
    Journey *j = opaque;
    AioCoroutine *self = aio_co_self();
    while (j->moves < j->least ||
           (j->moves < j->rounds && (j->moves % 100 || fixture_now_ns() < j->end))) {
        int i = j->moves++ % j->loops.count;
        aio_co_reschedule_self(j->loops.ctx[i]);
        j->wrong += !is_at(self, j->loops.ctx[i], j->threads[i]);
    }
    go_home(j);
}

static void one_that_moves_over_five_loops_always_knows_where_it_is(void **state)
{
    (void)state;
    const bool is_long = fixture_long() > 1;
    Journey j = {.rounds = co_rounds(100000), .least = is_long ? 1000000 : 100};
    int64_t began = fixture_now_ns();
    begin_journey(&j, 5);
    aio_co_schedule(j.home, co_make(travel, &j));
    end_journey(&j);
    print_message("%d migrations in %.1f s\n", j.moves, (double)(fixture_now_ns() - began) / 1e9);
    assert_true(j.moves >= j.least);
}

static void stay_then_go(void *opaque)
{
    Journey *j = opaque;
    AioCoroutine *self = aio_co_self();
    for (int i = 0; i < 10; i++) {
        aio_co_reschedule_self(j->home); /* where it is: at once */
        j->moves++;
    }
    aio_co_reschedule_self(j->loops.ctx[0]);
    j->wrong += !is_at(self, j->loops.ctx[0], j->threads[0]);
    go_home(j);
}

static void moving_to_where_it_is_does_not_yield(void **state)
{
    (void)state;
    Journey j = {.moves = 0};
    begin_journey(&j, 1);
    aio_co_schedule(j.home, co_make(stay_then_go, &j));
    assert_true(drive(j.home, false));
    assert_int_equal(j.moves, 10);
    end_journey(&j);
}

typedef struct Both {
    AioContext *a;
    AioContext *b;
    CoLog log;
    bool right;
} Both;

static void move_between_contexts_of_a_thread(void *opaque)
{
    Both *both = opaque;
    char *thread = thread_now();
    AioCoroutine *self = aio_co_self();
    co_note(&both->log, 'a');
    aio_co_reschedule_self(both->b);
    co_note(&both->log, 'b');
    both->right = is_at(self, both->b, thread);
    aio_co_reschedule_self(both->a);
    co_note(&both->log, 'a');
    both->right &= is_at(self, both->a, thread);
}

static void it_moves_between_two_contexts_of_one_thread(void **state)
{
    (void)state;
    Both both = {.a = fixture_context(), .b = fixture_context()};
    aio_co_schedule(both.a, co_make(move_between_contexts_of_a_thread, &both));
    assert_true(drive(both.a, false));
    assert_string_equal(both.log.text, "a");
    assert_false(drive(both.a, false));
    assert_true(drive(both.b, false));
    assert_string_equal(both.log.text, "ab");
    assert_true(drive(both.a, false));
    assert_string_equal(both.log.text, "aba");
    assert_true(both.right);
    fixture_context_free(both.a);
    fixture_context_free(both.b);
}

/*
 * Crowd: each moves to a random loop, lies down in a slot, and wakes whom it found there. The wake goes to where
 * the other lay down, from whatever thread, often before it has quite yielded.
 */
enum { CROWD = 40, SLOTS = 8 };

typedef struct Crowd {
    CoLoops loops;
    char *threads[CO_LOOPS_MAX];
    _Atomic(AioCoroutine *) slots[SLOTS];
    atomic_int left;
    atomic_int wrong;
    atomic_int wakes;
    int64_t end;
    int rounds;
} Crowd;

typedef struct Member {
    Crowd *crowd;
    unsigned seed;
} Member;

static void wake_who_lies_there(Crowd *c, unsigned slot, AioCoroutine *instead)
{
    AioCoroutine *found = atomic_exchange(&c->slots[slot], instead);
    if (found) {
        atomic_fetch_add(&c->wakes, 1);
        aio_co_wake(found);
    }
}

static void mill_about(void *opaque)
{
    Member *m = opaque;
    Crowd *c = m->crowd;
    AioCoroutine *self = aio_co_self();
    for (int i = 0; i < c->rounds && fixture_now_ns() < c->end; i++) {
        unsigned loop = co_random(&m->seed) % (unsigned)c->loops.count;
        aio_co_reschedule_self(c->loops.ctx[loop]);
        bool right = is_at(self, c->loops.ctx[loop], c->threads[loop]);
        wake_who_lies_there(c, co_random(&m->seed) % SLOTS, self);
        aio_co_yield();
        right = right && is_at(self, c->loops.ctx[loop], c->threads[loop]);
        atomic_fetch_add(&c->wrong, !right);
    }
    atomic_fetch_sub(&c->left, 1);
}

static void a_crowd_moves_and_wakes_each_other_at_random(void **state)
{
    (void)state;
    static Member members[CROWD];
    Crowd c = {.end = co_end(), .rounds = co_rounds(2000)};
    atomic_store(&c.left, CROWD);
    co_loops_start(&c.loops, 4);
    for (int i = 0; i < 4; i++) {
        assert_true(aio_wait_bh(c.loops.ctx[i], learn_thread, &c.threads[i], NULL));
    }
    for (unsigned i = 0; i < CROWD; i++) {
        members[i] = (Member){.crowd = &c, .seed = i};
        aio_co_schedule(c.loops.ctx[i % 4], co_make(mill_about, &members[i]));
    }
    int64_t limit = fixture_now_ns() + 40000000000 * (int64_t)fixture_long();
    while (atomic_load(&c.left) > 0 && fixture_now_ns() < limit) {
        /* Those who lie down last have nobody to wake them but the test. */
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            wake_who_lies_there(&c, slot, NULL);
        }
        fixture_sleep_ms(1);
    }
    assert_int_equal(atomic_load(&c.left), 0);
    co_loops_join(&c.loops);
    assert_int_equal(atomic_load(&c.wrong), 0);
    assert_true(atomic_load(&c.wakes) >= CROWD);
}

/* Objects go round: ended in a loop, made again and scheduled by a thread elsewhere. */

typedef struct Factory {
    CoLoops *loops;
    unsigned seed;
    int64_t end;
    int made;
    atomic_int ended;
} Factory;

static void be_one(void *opaque)
{
    atomic_int *ended = opaque;
    atomic_fetch_add(ended, 1);
}

static void make_and_schedule(void *opaque)
{
    Factory *f = opaque;
    while (fixture_now_ns() < f->end) {
        for (int i = 0; i < 20; i++) {
            AioCoroutine *co = aio_co_create(be_one, &f->ended);
            if (co) {
                f->made++;
                aio_co_schedule(f->loops->ctx[co_random(&f->seed) % (unsigned)f->loops->count], co);
            }
        }
        while (f->made - atomic_load(&f->ended) > 100) {
            fixture_yield();
        }
    }
}

static void ended_ones_are_used_again_while_threads_schedule(void **state)
{
    (void)state;
    enum { FACTORIES = 3 };
    CoLoops loops;
    Factory f[FACTORIES];
    FixtureThread *threads[FACTORIES];
    co_loops_start(&loops, 2);
    for (unsigned i = 0; i < FACTORIES; i++) {
        f[i] = (Factory){.loops = &loops, .seed = i, .end = co_end()};
        threads[i] = fixture_thread_start(make_and_schedule, &f[i]);
    }
    for (int i = 0; i < FACTORIES; i++) {
        fixture_thread_join(threads[i]);
        assert_true(f[i].made > 0);
        assert_true(co_await (&f[i].ended, f[i].made));
    }
    co_loops_join(&loops);
    for (int i = 0; i < FACTORIES; i++) {
        assert_int_equal(atomic_load(&f[i].ended), f[i].made);
    }
}

/* The coroutine drops the last reference of its context while its scheduler is inside of the call still. */

typedef struct Last {
    AioContext *ctx;
    AioCoroutine *co;
    bool done;
    atomic_int turn; /* even: the test's; odd: the scheduler's; negative: the end */
} Last;

static void drop_the_context(void *opaque)
{
    Last *last = opaque;
    aio_context_unref(last->ctx);
    last->done = true;
}

static void schedule_each_turn(void *opaque)
{
    Last *last = opaque;
    int turn = 1;
    for (;;) {
        int now = atomic_load(&last->turn);
        if (now < 0) {
            return;
        }
        if (now == turn) {
            aio_co_schedule(last->ctx, last->co);
            turn += 2;
        } else {
            fixture_yield();
        }
    }
}

static void the_last_reference_goes_while_the_scheduler_is_inside(void **state)
{
    (void)state;
    Last last = {.done = false};
    int64_t end = co_end();
    FixtureThread *thread = fixture_thread_start(schedule_each_turn, &last);
    for (int i = 0; i < co_rounds(5000) && fixture_now_ns() < end; i++) {
        last.ctx = fixture_context();
        last.co = co_make(drop_the_context, &last);
        last.done = false;
        aio_context_bind(last.ctx);
        AioContext *ctx = last.ctx;
        atomic_fetch_add(&last.turn, 1);
        while (!last.done) {
            drive(ctx, i % 2);
        }
        atomic_fetch_add(&last.turn, 1);
    }
    atomic_store(&last.turn, -1);
    fixture_thread_join(thread);
}

/* The end of a coroutine takes another loop down, to which it had moved before. */

typedef struct Visitor {
    AioContext *home;
    AioThread *visited;
    atomic_int done;
} Visitor;

static void visit_and_destroy(void *opaque)
{
    Visitor *v = opaque;
    aio_co_reschedule_self(aio_thread_context(v->visited));
    aio_co_reschedule_self(v->home);
    aio_thread_join(v->visited); /* with its context, that this one was pushed from */
    atomic_store(&v->done, 1);
}

static void a_coroutine_destroys_the_loop_that_it_just_left(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    AioContext *home = fixture_context();
    int64_t end = co_end();
    for (int i = 0; i < co_rounds(500) && fixture_now_ns() < end; i++) {
        Visitor v = {.home = home, .visited = aio_thread_start(&options, NULL)};
        assert_non_null(v.visited);
        aio_co_schedule(home, co_make(visit_and_destroy, &v));
        co_drive_until(home, &v.done, 1);
    }
    fixture_context_free(home);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_that_moves_over_five_loops_always_knows_where_it_is),
    cmocka_unit_test(moving_to_where_it_is_does_not_yield),
    cmocka_unit_test(it_moves_between_two_contexts_of_one_thread),
    cmocka_unit_test(a_crowd_moves_and_wakes_each_other_at_random),
    cmocka_unit_test(ended_ones_are_used_again_while_threads_schedule),
    cmocka_unit_test(the_last_reference_goes_while_the_scheduler_is_inside),
    cmocka_unit_test(a_coroutine_destroys_the_loop_that_it_just_left),
};
TEST_MAIN(tests)
