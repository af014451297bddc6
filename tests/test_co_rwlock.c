/*
 * The reader-writer lock of coroutines: batches of readers in strict order with writers, upgrade, downgrade.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

typedef enum Step {
    STEP_READ,
    STEP_WRITE,
    STEP_UPGRADE,   /* begins as a reader, goes on as a writer when it is told to */
    STEP_DOWNGRADE, /* the other way round */
} Step;

/* Takes the lock, says so, yields, and leaves when it is entered again. */
typedef struct User {
    AioCoRwlock *lock;
    AioCoroutine *co;
    Step step;
    bool inside;
    bool changed; /* upgraded or downgraded */
    bool ended;
} User;

static void use(void *opaque)
{
    User *user = opaque;
    user->co = aio_co_self();
    if (user->step == STEP_READ || user->step == STEP_UPGRADE) {
        aio_co_rwlock_rdlock(user->lock);
    } else {
        aio_co_rwlock_wrlock(user->lock);
    }
    user->inside = true;
    aio_co_yield();
    if (user->step == STEP_UPGRADE) {
        aio_co_rwlock_upgrade(user->lock);
    } else if (user->step == STEP_DOWNGRADE) {
        aio_co_rwlock_downgrade(user->lock);
    }
    if (user->step >= STEP_UPGRADE) {
        user->changed = true;
        aio_co_yield();
    }
    user->inside = false;
    aio_co_rwlock_unlock(user->lock);
    user->ended = true;
}

static AioContext *begin(AioCoRwlock *lock, User *users, const Step *steps, int count)
{
    AioContext *ctx = fixture_context();
    aio_context_bind(ctx);
    aio_co_rwlock_init(lock);
    for (int i = 0; i < count; i++) {
        users[i] = (User){.lock = lock, .step = steps[i]};
        AioCoroutine *co = aio_co_create(use, &users[i]);
        assert_non_null(co);
        aio_co_enter(ctx, co);
    }
    return ctx;
}

static void go_on(AioContext *ctx, User *user)
{
    aio_co_enter(ctx, user->co);
}

static void zero_is_a_free_lock_and_readers_share_it(void **state)
{
    (void)state;
    AioCoRwlock zero;
    memset(&zero, 0, sizeof(zero));
    AioCoRwlock lock;
    User users[3];
    AioContext *ctx = begin(&lock, users, (const Step[]){STEP_READ, STEP_READ, STEP_READ}, 3);
    User other = {.lock = &zero, .step = STEP_WRITE};
    aio_co_enter(ctx, aio_co_create(use, &other));
    assert_true(other.inside);
    go_on(ctx, &other);
    for (int i = 0; i < 3; i++) {
        assert_true(users[i].inside);
    }
    for (int i = 0; i < 3; i++) {
        go_on(ctx, &users[i]);
        assert_true(users[i].ended);
    }
    fixture_context_free(ctx);
}

static void readers_and_writers_enter_in_order_and_readers_in_batches(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[6];
    const Step steps[] = {STEP_WRITE, STEP_READ, STEP_READ, STEP_WRITE, STEP_READ, STEP_READ};
    AioContext *ctx = begin(&lock, u, steps, 6);
    assert_true(u[0].inside);
    for (int i = 1; i < 6; i++) {
        assert_false(u[i].inside);
    }
    go_on(ctx, &u[0]);
    assert_true(u[1].inside && u[2].inside); /* together, but not past the writer */
    assert_false(u[3].inside || u[4].inside || u[5].inside);
    go_on(ctx, &u[2]);
    assert_false(u[3].inside);
    go_on(ctx, &u[1]);
    assert_true(u[3].inside);
    assert_false(u[4].inside);
    go_on(ctx, &u[3]);
    assert_true(u[4].inside && u[5].inside);
    go_on(ctx, &u[4]);
    go_on(ctx, &u[5]);
    fixture_context_free(ctx);
}

static void reader_does_not_overtake_a_waiting_writer(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[3];
    AioContext *ctx = begin(&lock, u, (const Step[]){STEP_READ, STEP_WRITE, STEP_READ}, 3);
    assert_true(u[0].inside);
    assert_false(u[1].inside || u[2].inside);
    go_on(ctx, &u[0]);
    assert_true(u[1].inside);
    go_on(ctx, &u[1]);
    assert_true(u[2].inside);
    go_on(ctx, &u[2]);
    fixture_context_free(ctx);
}

static void downgrade_lets_in_the_readers_up_to_the_next_writer(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[5];
    const Step steps[] = {STEP_DOWNGRADE, STEP_READ, STEP_READ, STEP_WRITE, STEP_READ};
    AioContext *ctx = begin(&lock, u, steps, 5);
    go_on(ctx, &u[0]);
    assert_true(u[0].changed && u[0].inside);
    assert_true(u[1].inside && u[2].inside);
    assert_false(u[3].inside || u[4].inside);
    go_on(ctx, &u[0]);
    go_on(ctx, &u[1]);
    assert_false(u[3].inside);
    go_on(ctx, &u[2]);
    assert_true(u[3].inside);
    go_on(ctx, &u[3]);
    assert_true(u[4].inside);
    go_on(ctx, &u[4]);
    fixture_context_free(ctx);
}

static void downgrade_before_a_writer_lets_nobody_in(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[3];
    AioContext *ctx = begin(&lock, u, (const Step[]){STEP_DOWNGRADE, STEP_WRITE, STEP_READ}, 3);
    go_on(ctx, &u[0]);
    assert_true(u[0].changed);
    assert_false(u[1].inside || u[2].inside);
    go_on(ctx, &u[0]);
    assert_true(u[1].inside);
    go_on(ctx, &u[1]);
    go_on(ctx, &u[2]);
    fixture_context_free(ctx);
}

static void upgrade_waits_for_readers_and_goes_before_later_writers(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[2];
    AioContext *ctx = begin(&lock, u, (const Step[]){STEP_UPGRADE, STEP_READ}, 2);
    go_on(ctx, &u[0]);
    assert_false(u[0].changed); /* a reader is inside */
    User later = {.lock = &lock, .step = STEP_WRITE};
    aio_co_enter(ctx, aio_co_create(use, &later));
    go_on(ctx, &u[1]);
    assert_true(u[0].changed);
    assert_false(later.inside);
    go_on(ctx, &u[0]);
    assert_true(later.inside);
    go_on(ctx, &later);
    fixture_context_free(ctx);
}

static void upgrade_goes_behind_writers_that_came_before(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[2];
    AioContext *ctx = begin(&lock, u, (const Step[]){STEP_UPGRADE, STEP_WRITE}, 2);
    assert_false(u[1].inside);
    go_on(ctx, &u[0]); /* it was the only reader: the writer enters, and it waits */
    assert_true(u[1].inside);
    assert_false(u[0].changed);
    go_on(ctx, &u[1]);
    assert_true(u[0].changed);
    go_on(ctx, &u[0]);
    fixture_context_free(ctx);
}

static void upgrade_of_the_only_reader_is_at_once(void **state)
{
    (void)state;
    AioCoRwlock lock;
    User u[1];
    AioContext *ctx = begin(&lock, u, (const Step[]){STEP_UPGRADE}, 1);
    go_on(ctx, &u[0]);
    assert_true(u[0].changed);
    go_on(ctx, &u[0]);
    assert_true(u[0].ended);
    fixture_context_free(ctx);
}

/* In several loops: a writer keeps two numbers equal, readers look, an upgrader does both. */

enum { LOOPS = 3, USERS = 6 };

typedef struct Pair {
    AioCoRwlock lock;
    AioThread *threads[LOOPS];
    long a;
    long b;
    atomic_int running;
    atomic_bool torn;
    int64_t end;
    int rounds;
} Pair;

static void use_pair(void *opaque)
{
    Pair *pair = opaque;
    for (int i = 0; i < pair->rounds && fixture_now_ns() < pair->end; i++) {
        if (i % 5 == 0) {
            aio_co_rwlock_wrlock(&pair->lock);
            pair->a++;
            pair->b++;
            aio_co_rwlock_downgrade(&pair->lock);
        } else {
            aio_co_rwlock_rdlock(&pair->lock);
        }
        if (pair->a != pair->b) {
            atomic_store(&pair->torn, true);
        }
        if (i % 7 == 0) {
            aio_co_rwlock_upgrade(&pair->lock);
            pair->b++;
            pair->a++;
        }
        aio_co_rwlock_unlock(&pair->lock);
        aio_co_reschedule_self(aio_thread_context(pair->threads[(i * 31) % LOOPS]));
    }
    atomic_fetch_sub(&pair->running, 1);
}

static void contexts_share_it_and_nobody_is_left_waiting(void **state)
{
    (void)state;
    AioContextOptions options = {.size = sizeof(options), .poller = fixture_poller()};
    Pair pair = {.rounds = 5000 * (int)fixture_long(),
                 .end = fixture_now_ns() + 2000000000 * (int64_t)fixture_long()};
    for (int i = 0; i < LOOPS; i++) {
        pair.threads[i] = aio_thread_start(&options, NULL);
        assert_non_null(pair.threads[i]);
    }
    atomic_store(&pair.running, USERS);
    for (int i = 0; i < USERS; i++) {
        AioCoroutine *co = aio_co_create(use_pair, &pair);
        assert_non_null(co);
        aio_co_schedule(aio_thread_context(pair.threads[i % LOOPS]), co);
    }
    int64_t hopeless = fixture_now_ns() + 30000000000 * (int64_t)fixture_long();
    while (atomic_load(&pair.running) > 0) {
        assert_true(fixture_now_ns() < hopeless);
        fixture_sleep_ms(1);
    }
    for (int i = 0; i < LOOPS; i++) {
        aio_thread_join(pair.threads[i]);
    }
    assert_false(atomic_load(&pair.torn));
    assert_int_equal(pair.a, pair.b);
    assert_true(pair.a > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(zero_is_a_free_lock_and_readers_share_it),
    cmocka_unit_test(readers_and_writers_enter_in_order_and_readers_in_batches),
    cmocka_unit_test(reader_does_not_overtake_a_waiting_writer),
    cmocka_unit_test(downgrade_lets_in_the_readers_up_to_the_next_writer),
    cmocka_unit_test(downgrade_before_a_writer_lets_nobody_in),
    cmocka_unit_test(upgrade_waits_for_readers_and_goes_before_later_writers),
    cmocka_unit_test(upgrade_goes_behind_writers_that_came_before),
    cmocka_unit_test(upgrade_of_the_only_reader_is_at_once),
    cmocka_unit_test(contexts_share_it_and_nobody_is_left_waiting),
};
TEST_MAIN(tests)
