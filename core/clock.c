/*
 * The four clocks: reading them, stopping them and, for VIRTUAL, moving it. Each clock knows the lists of
 * timers on it (of all contexts), wakes their loops when it jumps or is enabled, and waits for their
 * callbacks when it is disabled. It runs no timer itself.
 *
 * Invariant: the state of a clock changes under the registry's mutex only, and whoever changed it takes
 * the lock of each list on that clock before it decides whether to wake or to wait. So a timer that is
 * being armed either sees the new state, or is seen by the one who changed it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/clock.h"

#include <assert.h>

#include "core/context.h"
#include "core/once.h"
#include "core/timer.h"

#define BIT(clock) (UINT32_C(1) << (clock))

_Atomic uint32_t aio__clocks_enabled =
    BIT(AIO_CLOCK_REALTIME) | BIT(AIO_CLOCK_HOST) | BIT(AIO_CLOCK_VIRTUAL_RT);

static _Atomic int64_t virtual_now;

/*
 * VIRTUAL_RT in one word, so that a signal handler can read it: while it is enabled twice the monotonic
 * time at which it was 0, and 1; while it is disabled twice its time.
 */
static _Atomic int64_t virtual_rt = 1;

static _Atomic(AioClockSource *) overrides[AIO_CLOCK_MAX];

static const char *const names[AIO_CLOCK_MAX] = {"REALTIME", "VIRTUAL", "HOST", "VIRTUAL_RT"};

static AioOnce registry_once;
static AioMutex registry_mutex; /* guards the lists below and every change of a clock */
static AioCond callbacks_ended;
static AioList registry[AIO_CLOCK_MAX];

static void registry_setup(void)
{
    aio__mutex_init(&registry_mutex);
    aio__cond_init(&callbacks_ended);
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        aio__list_init(&registry[clock]);
    }
}

static void registry_lock(void)
{
    aio__once(&registry_once, registry_setup);
    aio__mutex_lock(&registry_mutex);
}

static void registry_unlock(void)
{
    aio__mutex_unlock(&registry_mutex);
}

static AioTimerList *list_of(AioNode *node)
{
    return AIO_CONTAINER_OF(node, AioTimerList, on_clock);
}

void aio__clock_add(AioClock clock, AioNode *node)
{
    registry_lock();
    aio__list_push(&registry[clock], node);
    registry_unlock();
}

void aio__clock_remove(AioNode *node)
{
    registry_lock();
    aio__node_unlink(node);
    registry_unlock();
}

void aio__clock_callbacks_ended(void)
{
    registry_lock();
    aio__cond_broadcast(&callbacks_ended);
    registry_unlock();
}

void aio__clock_override(AioClock clock, AioClockSource *source)
{
    /* release: pairs with the acquire in read_source() */
    atomic_store_explicit(&overrides[clock], source, memory_order_release);
}

static int64_t read_source(AioClock clock, AioClockSource *system)
{
    /* acquire: pairs with the release in aio__clock_override() */
    AioClockSource *source = atomic_load_explicit(&overrides[clock], memory_order_acquire);
    return source ? source() : system();
}

int64_t aio_clock_get_ns(AioClock clock)
{
    switch (clock) {
    case AIO_CLOCK_VIRTUAL:
        /* Acquire: pairs with move_virtual(). */
        return atomic_load_explicit(&virtual_now, memory_order_acquire);
    case AIO_CLOCK_HOST:
        return read_source(AIO_CLOCK_HOST, aio__wall_clock_ns);
    case AIO_CLOCK_VIRTUAL_RT: {
        int64_t word = atomic_load_explicit(&virtual_rt, memory_order_relaxed);
        if (word & 1) {
            return read_source(AIO_CLOCK_REALTIME, aio__monotonic_ns) - (word - 1) / 2;
        }
        return word / 2;
    }
    default:
        assert(clock == AIO_CLOCK_REALTIME);
        return read_source(AIO_CLOCK_REALTIME, aio__monotonic_ns);
    }
}

int64_t aio_clock_get_us(AioClock clock)
{
    return aio_clock_get_ns(clock) / AIO_SCALE_US;
}

int64_t aio_clock_get_ms(AioClock clock)
{
    return aio_clock_get_ns(clock) / AIO_SCALE_MS;
}

bool aio_clock_enabled(AioClock clock)
{
    assert(clock >= 0 && clock < AIO_CLOCK_MAX);
    return aio__clock_is_enabled(clock);
}

/* Wake the loops that have something due at `now`. The registry is locked. */
static void wake_due(AioClock clock, int64_t now)
{
    AioList *lists = &registry[clock];
    for (AioNode *node = aio__list_first(lists); node; node = aio__list_next(lists, node)) {
        AioTimerList *list = list_of(node);
        if (aio__timers_earliest_ns(list, 0) <= (uint64_t)now) {
            aio__kick(list->ctx);
        }
    }
}

static void enable(AioClock clock)
{
    if (clock == AIO_CLOCK_VIRTUAL_RT) {
        int64_t stood_at = atomic_load_explicit(&virtual_rt, memory_order_relaxed) / 2;
        int64_t zero = read_source(AIO_CLOCK_REALTIME, aio__monotonic_ns) - stood_at;
        atomic_store_explicit(&virtual_rt, zero * 2 + 1, memory_order_relaxed);
    }
    /* Release: pairs with aio__clock_is_enabled(). */
    atomic_fetch_or_explicit(&aio__clocks_enabled, BIT(clock), memory_order_release);
    wake_due(clock, INT64_MAX);
}

static void disable(AioClock clock)
{
    if (clock == AIO_CLOCK_VIRTUAL_RT) {
        int64_t now = aio_clock_get_ns(clock);
        atomic_store_explicit(&virtual_rt, now * 2, memory_order_relaxed);
    }
    atomic_fetch_and_explicit(&aio__clocks_enabled, ~BIT(clock), memory_order_relaxed);
}

/* Whether a callback of the clock is running in another thread. The registry is locked. */
static bool callbacks_run(AioClock clock)
{
    bool run = false;
    AioList *lists = &registry[clock];
    for (AioNode *node = aio__list_first(lists); node; node = aio__list_next(lists, node)) {
        run = aio__timers_await(list_of(node)) || run;
    }
    return run;
}

static bool own_callback_runs(AioClock clock)
{
    AioList *lists = &registry[clock];
    for (AioNode *node = aio__list_first(lists); node; node = aio__list_next(lists, node)) {
        if (aio__timers_running_here(list_of(node))) {
            return true;
        }
    }
    return false;
}

void aio_clock_enable(AioClock clock, bool enabled)
{
    assert(clock >= 0 && clock < AIO_CLOCK_MAX);
    registry_lock();
    if (!enabled && own_callback_runs(clock)) {
        registry_unlock();
        aio__fatal("Clock %s disabled from a callback of a timer on it", names[clock]);
    }
    if (enabled != aio__clock_is_enabled(clock)) {
        if (enabled) {
            enable(clock);
        } else {
            disable(clock);
        }
    }
    /* Lists may come and go while this waits, and somebody may enable the clock again. */
    while (!enabled && !aio__clock_is_enabled(clock) && callbacks_run(clock)) {
        aio__cond_wait(&callbacks_ended, &registry_mutex);
    }
    registry_unlock();
}

/* The registry is locked. */
static void move_virtual(int64_t now_ns)
{
    /* Release: pairs with aio_clock_get_ns(): callbacks see what was done before. */
    atomic_store_explicit(&virtual_now, now_ns, memory_order_release);
    if (aio__clock_is_enabled(AIO_CLOCK_VIRTUAL)) {
        wake_due(AIO_CLOCK_VIRTUAL, now_ns);
    }
}

void aio_clock_set(int64_t now_ns)
{
    registry_lock();
    move_virtual(now_ns < 0 ? 0 : now_ns);
    registry_unlock();
}

void aio_clock_advance(int64_t delta_ns)
{
    assert(delta_ns >= 0);
    registry_lock();
    int64_t now = aio_clock_get_ns(AIO_CLOCK_VIRTUAL);
    move_virtual(delta_ns > INT64_MAX - now ? INT64_MAX : now + delta_ns);
    registry_unlock();
}

static uint64_t earliest_of_all(AioClock clock, unsigned without)
{
    uint64_t earliest = AIO_TIMERS_NONE;
    AioList *lists = &registry[clock];
    for (AioNode *node = aio__list_first(lists); node; node = aio__list_next(lists, node)) {
        uint64_t deadline = aio__timers_earliest_ns(list_of(node), without);
        if (deadline < earliest) {
            earliest = deadline;
        }
    }
    return earliest;
}

bool aio_clock_warp(void)
{
    registry_lock();
    bool armed = false;
    if (aio__clock_is_enabled(AIO_CLOCK_VIRTUAL)) {
        uint64_t earliest = earliest_of_all(AIO_CLOCK_VIRTUAL, 0);
        armed = earliest != AIO_TIMERS_NONE;
        if (armed && (int64_t)earliest > aio_clock_get_ns(AIO_CLOCK_VIRTUAL)) {
            move_virtual((int64_t)earliest);
        }
    }
    registry_unlock();
    return armed;
}

int64_t aio_clock_deadline_ns(AioClock clock, unsigned without)
{
    assert(clock >= 0 && clock < AIO_CLOCK_MAX);
    if (!aio__clock_is_enabled(clock)) {
        return -1;
    }
    registry_lock();
    uint64_t earliest = earliest_of_all(clock, without);
    registry_unlock();
    if (earliest == AIO_TIMERS_NONE) {
        return -1;
    }
    int64_t now = aio_clock_get_ns(clock);
    return (int64_t)earliest > now ? (int64_t)earliest - now : 0;
}

int64_t aio_soonest_timeout(int64_t a_ns, int64_t b_ns)
{
    /* As unsigned numbers, -1 is the largest. */
    return (uint64_t)a_ns < (uint64_t)b_ns ? a_ns : b_ns;
}
