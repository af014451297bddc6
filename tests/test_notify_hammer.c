/*
 * Hammers for lost wake-ups: several threads post in every way to loops that sleep, nest and change hands.
 * Each poster goes on only when its last post was seen, so a loss shows as a wait without an end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/fixture.h"

#include "core/context.h"

#define SECOND INT64_C(1000000000)

enum { POSTERS = 3 };

typedef enum Way {
    WAY_BH,
    WAY_ONESHOT,
    WAY_IDLE,
    WAY_TIMER_DUE,
    WAY_TIMER_SOON,
    WAY_HANDLER,
    WAY_EXTERNAL,
    WAYS,
} Way;

/* One thread that posts, and its mailbox. */
typedef struct Poster {
    AioContext *ctx;
    AioBh *bh;
    AioTimer timer;
    FixturePair pair;     /* something to read is always in it */
    FixturePair external; /* the same */
    int posted;           /* plain: each way to post makes it visible */
    int seen;
    atomic_int taken;
    atomic_bool *stop;
    unsigned ways; /* bits */
    bool stale;    /* what was posted was not seen */
    int nest;      /* so often the callback waits for the next post in a nested iteration */
} Poster;

static bool drive_in_time(AioContext *ctx)
{
    int64_t start = fixture_now_ns();
    aio_poll(ctx, true);
    return fixture_now_ns() - start < 5 * SECOND;
}

static void take(void *opaque)
{
    Poster *poster = opaque;
    poster->stale |= poster->posted < poster->seen;
    poster->seen = poster->posted;
    atomic_store(&poster->taken, poster->seen);
    if (poster->nest > 0) {
        int seen = poster->seen;
        poster->nest--;
        while (poster->seen == seen && !atomic_load(poster->stop)) {
            poster->stale |= !drive_in_time(poster->ctx);
        }
        poster->nest++;
    }
}

static void take_and_remove(void *opaque)
{
    Poster *poster = opaque;
    aio_set_fd_handler(poster->ctx, (int)poster->pair.a, false, NULL, NULL, NULL, NULL);
    take(poster);
}

static void take_and_disable(void *opaque)
{
    Poster *poster = opaque;
    aio_disable_external(poster->ctx);
    take(poster);
}

static void post(Poster *poster, Way way)
{
    switch (way) {
    case WAY_BH:
        aio_bh_schedule(poster->bh);
        break;
    case WAY_ONESHOT:
        aio_bh_schedule_oneshot(poster->ctx, take, poster);
        break;
    case WAY_IDLE:
        aio_bh_schedule_idle(poster->bh);
        break;
    case WAY_TIMER_DUE:
        aio_timer_mod(&poster->timer, 0);
        break;
    case WAY_TIMER_SOON:
        aio_timer_mod(&poster->timer, aio_clock_get_ns(AIO_CLOCK_REALTIME) + 30000);
        break;
    case WAY_HANDLER:
        aio_set_fd_handler(poster->ctx, (int)poster->pair.a, false, take_and_remove, NULL, NULL,
                           poster);
        break;
    default:
        aio_enable_external(poster->ctx);
    }
}

/* A little longer each time, over and over: to meet the loop at every point of its way to sleep. */
static void delay(int i)
{
    for (volatile int spins = i % 1000; spins > 0; spins--) {
        continue;
    }
}

static void keep_posting(void *opaque)
{
    Poster *poster = opaque;
    Way way = WAY_BH;
    for (int i = 1; !atomic_load(poster->stop); i++) {
        do {
            way = (Way)((way + 1) % WAYS);
        } while (!(poster->ways & 1u << way));
        poster->posted = i;
        delay(i);
        post(poster, way);
        while (atomic_load(&poster->taken) != i && !atomic_load(poster->stop)) {
            fixture_yield();
        }
    }
}

static void poster_init(Poster *poster, AioContext *ctx, unsigned ways, atomic_bool *stop)
{
    *poster = (Poster){.ctx = ctx, .ways = ways, .stop = stop, .pair = fixture_pair()};
    poster->external = fixture_pair();
    poster->bh = aio_bh_new(ctx, take, poster);
    aio_timer_init(ctx, &poster->timer, AIO_CLOCK_REALTIME, AIO_SCALE_NS, take, poster);
    fixture_write(poster->pair.b, "?", 1);
    fixture_write(poster->external.b, "?", 1);
    if (ways & 1u << WAY_EXTERNAL) {
        aio_disable_external(ctx);
        aio_set_fd_handler(ctx, (int)poster->external.a, true, take_and_disable, NULL, NULL,
                           poster);
    }
}

static void poster_done(Poster *poster)
{
    AioContext *ctx = poster->ctx;
    aio_timer_del(&poster->timer);
    aio_bh_delete(poster->bh);
    aio_set_fd_handler(ctx, (int)poster->pair.a, false, NULL, NULL, NULL, NULL);
    aio_set_fd_handler(ctx, (int)poster->external.a, true, NULL, NULL, NULL, NULL);
    fixture_pair_close(&poster->pair);
    fixture_pair_close(&poster->external);
}

#define FEW 50

static int least_seen(const Poster *poster, int posters)
{
    int least = INT32_MAX;
    for (int i = 0; i < posters; i++) {
        least = poster[i].seen < least ? poster[i].seen : least;
    }
    return least;
}

static void hammer(unsigned ways, int posters, int64_t window_ns, int nest)
{
    AioContext *ctx = fixture_context();
    atomic_bool stop = false;
    Poster poster[POSTERS];
    FixtureThread *threads[POSTERS];
    aio_context_bind(ctx);
    aio_context_set_poll_params(ctx, window_ns, 0, 0, NULL);
    for (int i = 0; i < posters; i++) {
        poster_init(&poster[i], ctx, ways, &stop);
        poster[i].nest = nest;
        threads[i] = fixture_thread_start(keep_posting, &poster[i]);
    }
    int64_t end = fixture_now_ns() + SECOND * (int64_t)fixture_long();
    bool in_time = true;
    /* A busy machine gets more time for the least that says something. */
    while (in_time && (fixture_now_ns() < end || least_seen(poster, posters) <= FEW)) {
        in_time = drive_in_time(ctx);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < posters; i++) {
        fixture_thread_join(threads[i]);
        in_time &= !poster[i].stale;
    }
    int least = least_seen(poster, posters);
    bool drained = ctx->notify.drained;
    AioContextInfo info = {.size = sizeof(info)};
    aio_context_info(ctx, &info);
    print_message(
        "%d posts seen; %.0f iterations, %.0f waits, %.0f sleeps, %.0f writes, %.0f drains\n",
        least, (double)info.counters.iterations, (double)info.counters.waits,
        (double)info.counters.sleeps, (double)info.counters.notifier_writes,
        (double)info.counters.drains);
    for (int i = 0; i < posters; i++) {
        poster_done(&poster[i]);
    }
    fixture_context_free(ctx);
    assert_true(in_time);
    assert_true(least > FEW);
    if (drained) {
        assert_true(info.counters.drains > 0 && info.counters.drains <= info.counters.waits);
    } else {
        assert_int_equal(info.counters.drains, 0);
    }
    assert_true(info.counters.notifier_writes <= info.counters.iterations + info.counters.waits);
}

static void hammer_on_one_core(unsigned ways, int posters, int64_t window_ns, int nest)
{
    if (!fixture_pin(0)) {
        fixture_skip("threads can't be pinned here");
    }
    hammer(ways, posters, window_ns, nest);
    fixture_pin(-1);
}

#define ONLY(way) (1u << (way))
#define ALL_WAYS (ONLY(WAYS) - 1 - ONLY(WAY_EXTERNAL))

static void no_bh_is_lost(void **state)
{
    (void)state;
    hammer(ONLY(WAY_BH), 1, 0, 0);
}

static void no_bh_is_lost_on_one_core(void **state)
{
    (void)state;
    hammer_on_one_core(ONLY(WAY_BH), 1, 0, 0);
}

static void no_post_is_lost_whatever_the_way(void **state)
{
    (void)state;
    hammer(ALL_WAYS, 1, 0, 0);
}

static void no_post_of_many_threads_is_lost(void **state)
{
    (void)state;
    hammer(ALL_WAYS, POSTERS, 0, 0);
}

static void no_post_of_many_threads_is_lost_on_one_core(void **state)
{
    (void)state;
    hammer_on_one_core(ALL_WAYS, POSTERS, 0, 0);
}

static void no_kick_is_lost(void **state)
{
    (void)state;
    hammer(ONLY(WAY_TIMER_DUE) | ONLY(WAY_HANDLER), 2, 0, 0);
}

static void no_kick_is_lost_on_one_core(void **state)
{
    (void)state;
    hammer_on_one_core(ONLY(WAY_TIMER_DUE) | ONLY(WAY_HANDLER), 2, 0, 0);
}

static void enabling_external_handlers_wakes_the_loop(void **state)
{
    (void)state;
    hammer(ONLY(WAY_EXTERNAL), 1, 0, 0);
}

static void no_post_is_lost_between_busy_polling_and_sleeping(void **state)
{
    (void)state;
    hammer(ALL_WAYS & ~ONLY(WAY_HANDLER), 2, 20000, 0);
}

static void no_post_is_lost_while_iterations_nest(void **state)
{
    (void)state;
    hammer(ALL_WAYS, 2, 0, 3);
}

static void no_post_is_lost_while_iterations_nest_on_one_core(void **state)
{
    (void)state;
    hammer_on_one_core(ALL_WAYS, 2, 0, 3);
}

/* A shared context whose runner changes all the time. */

typedef struct Sharer {
    AioContext *ctx;
    atomic_bool *stop;
    bool in_time;
    atomic_bool ended;
} Sharer;

static void run_in_turn(void *opaque)
{
    Sharer *sharer = opaque;
    sharer->in_time = true;
    while (!atomic_load(sharer->stop)) {
        aio_context_acquire(sharer->ctx);
        sharer->in_time &= drive_in_time(sharer->ctx);
        aio_context_release(sharer->ctx);
        fixture_yield();
    }
    atomic_store(&sharer->ended, true);
}

static void no_post_is_lost_while_a_context_changes_hands(void **state)
{
    (void)state;
    AioContext *ctx = fixture_context_flags(AIO_CONTEXT_SHARED);
    atomic_bool stop = false;
    Poster poster;
    poster_init(&poster, ctx, ALL_WAYS, &stop);
    Sharer sharers[2];
    FixtureThread *threads[3];
    for (int i = 0; i < 2; i++) {
        sharers[i] = (Sharer){.ctx = ctx, .stop = &stop};
        threads[i] = fixture_thread_start(run_in_turn, &sharers[i]);
    }
    threads[2] = fixture_thread_start(keep_posting, &poster);
    int last = 0;
    bool alive = true;
    for (unsigned i = 0; i < 4 * fixture_long() && alive; i++) {
        fixture_sleep_ms(250);
        alive = atomic_load(&poster.taken) > last || i == 0;
        last = atomic_load(&poster.taken);
    }
    atomic_store(&stop, true);
    fixture_thread_join(threads[2]);
    for (int i = 0; i < 2; i++) {
        /* One that begins to wait after this sees `stop`; either may be the one that waits. */
        while (!atomic_load(&sharers[i].ended)) {
            aio_notify(ctx);
            fixture_yield();
        }
        fixture_thread_join(threads[i]);
    }
    assert_true(alive);
    assert_true(sharers[0].in_time && sharers[1].in_time);
    assert_false(poster.stale);
    aio_context_acquire(ctx);
    poster_done(&poster);
    while (aio_poll(ctx, false)) {
        continue;
    }
    aio_context_release(ctx);
    aio_context_unref(ctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_bh_is_lost),
    cmocka_unit_test(no_bh_is_lost_on_one_core),
    cmocka_unit_test(no_post_is_lost_whatever_the_way),
    cmocka_unit_test(no_post_of_many_threads_is_lost),
    cmocka_unit_test(no_post_of_many_threads_is_lost_on_one_core),
    cmocka_unit_test(no_kick_is_lost),
    cmocka_unit_test(no_kick_is_lost_on_one_core),
    cmocka_unit_test(enabling_external_handlers_wakes_the_loop),
    cmocka_unit_test(no_post_is_lost_between_busy_polling_and_sleeping),
    cmocka_unit_test(no_post_is_lost_while_iterations_nest),
    cmocka_unit_test(no_post_is_lost_while_iterations_nest_on_one_core),
    cmocka_unit_test(no_post_is_lost_while_a_context_changes_hands),
};
TEST_MAIN(tests)
