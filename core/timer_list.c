/*
 * A context's timers on one clock: arming them from any thread, running those that are due in the home
 * thread, and saying how long the loop may sleep. The order is core/timer_set.c's business, the time
 * core/clock.c's.
 *
 * Invariant: whenever the lock is free, `earliest` is not after any deadline in the list, and a loop that
 * sleeps beyond deadline + slack of an armed timer has been kicked.
 *
 * SPDX-License-Identifier: MIT
 */
#include <assert.h>

#include "core/clock.h"
#include "core/context.h"
#include "core/timer.h"

#define HOST_LOOK_NS INT64_C(1000000000) /* a jump of the wall clock is followed within this time */

static uint64_t load(const _Atomic uint64_t *moment)
{
    return atomic_load_explicit(moment, memory_order_relaxed);
}

static void store(_Atomic uint64_t *moment, uint64_t value)
{
    atomic_store_explicit(moment, value, memory_order_relaxed);
}

/* Say what the first deadline is now. */
static inline void publish(AioTimerList *list)
{
    uint64_t earliest = aio__timer_set_earliest(&list->set);
    if (earliest == load(&list->earliest)) {
        return;
    }
    store(&list->earliest, earliest);
    if (earliest == AIO_TIMERS_NONE) {
        atomic_store_explicit(&list->slack, false, memory_order_relaxed);
    }
}

static bool has_slack(const AioTimerList *list)
{
    return atomic_load_explicit(&list->slack, memory_order_relaxed);
}

/*
 * The moment at which a timer just armed wants the loop at the latest, and in *until the one at which it
 * comes anyway. VIRTUAL does not pass while a loop sleeps, so that slack has no meaning there.
 */
static uint64_t note_slack(AioTimerList *list, const AioTimer *timer, uint64_t deadline,
                           uint64_t *until)
{
    if (list->clock == AIO_CLOCK_VIRTUAL) {
        return deadline;
    }
    uint64_t moment = deadline + aio__timer_slack_ns(timer);
    if (has_slack(list)) {
        *until = load(&list->wake);
    }
    atomic_store_explicit(&list->slack, true, memory_order_relaxed);
    store(&list->wake, moment < *until ? moment : *until);
    return moment;
}

/*
 * Whether a loop that may sleep until `until` has to look again, since it is wanted at `moment`. On VIRTUAL
 * no sleep ends by itself, so only what is due counts; aio_clock_set() sees to the rest.
 */
static bool must_kick(const AioTimerList *list, uint64_t moment, uint64_t until)
{
    if (moment >= until || !aio__clock_is_enabled(list->clock)) {
        return false;
    }
    return list->clock != AIO_CLOCK_VIRTUAL ||
           moment <= (uint64_t)aio_clock_get_ns(AIO_CLOCK_VIRTUAL);
}

/* Drop the list's lock, and have the loop look again where it may sleep for too long. */
static void drop_and_kick(AioTimerList *list, AioTimer *timer, uint64_t deadline, uint64_t until)
{
    AioContext *ctx = list->ctx;
    uint64_t moment = deadline;
    if (timer->slack || has_slack(list)) {
        moment = note_slack(list, timer, deadline, &until);
    }
    if (!must_kick(list, moment, until)) {
        aio__lock_drop(&list->lock);
        return;
    }
    bool foreign = !aio__is_home(ctx);
    if (foreign) {
        aio__post_begin(ctx); /* the timer's callback may drop the last reference */
    }
    aio__lock_drop(&list->lock);
    aio__kick(ctx);
    if (foreign) {
        aio__post_cancel(ctx);
    }
}

void aio__timer_arm(AioTimer *timer, int64_t deadline_ns, bool only_earlier)
{
    AioTimerList *list = timer->list;
    uint64_t deadline = deadline_ns < 0 ? 0 : (uint64_t)deadline_ns;
    aio__lock_take(&list->lock);
    if (only_earlier && aio__timer_set_deadline(&list->set, timer) <= deadline) {
        aio__lock_drop(&list->lock);
        return;
    }
    uint64_t until = load(&list->earliest);
    bool reached = list->runs > 0 && deadline <= (uint64_t)list->run_now;
    aio__timer_set_put(&list->set, timer, deadline, reached);
    publish(list);
    if (deadline < until || timer->slack || has_slack(list)) {
        drop_and_kick(list, timer, deadline, until);
    } else {
        aio__lock_drop(&list->lock);
    }
}

void aio__timer_disarm(AioTimer *timer)
{
    AioTimerList *list = timer->list;
    if (!list) {
        return; /* zeroed, or taken down before */
    }
    aio__lock_take(&list->lock);
    aio__timer_set_remove(&list->set, timer);
    publish(list);
    aio__lock_drop(&list->lock);
}

uint64_t aio__timer_deadline_ns(AioTimer *timer)
{
    AioTimerList *list = timer->list;
    if (!list) {
        return AIO_TIMERS_NONE;
    }
    aio__lock_take(&list->lock);
    uint64_t deadline = aio__timer_set_deadline(&list->set, timer);
    aio__lock_drop(&list->lock);
    return deadline;
}

/* Take out the next timer to run, or NULL: none is due, or the clock was disabled. */
static AioTimer *take_due(AioTimerList *list)
{
    if (!aio__clock_is_enabled(list->clock)) {
        return NULL;
    }
    int64_t now = list->run_now;
    if (list->clock == AIO_CLOCK_VIRTUAL && aio_clock_get_ns(AIO_CLOCK_VIRTUAL) < now) {
        now = aio_clock_get_ns(AIO_CLOCK_VIRTUAL); /* a callback set it back */
    }
    return aio__timer_set_take(&list->set, (uint64_t)now, list->run_order);
}

static unsigned run_list(AioTimerList *list, int64_t now)
{
    unsigned ran = 0;
    AioContext *ctx = list->ctx;
    aio__lock_take(&list->lock);
    int64_t outer_now = list->run_now;
    uint64_t outer_order = list->run_order;
    aio__timer_set_bring_back(&list->set);
    list->runs++;
    list->runner = aio__thread_id();
    list->run_now = now;
    list->run_order = list->set.order;
    for (AioTimer *timer; (timer = take_due(list)) != NULL; ran++) {
        AioTimerFunc *cb = timer->cb;
        void *opaque = timer->opaque;
        publish(list);
        aio__lock_drop(&list->lock);
        aio__count(ctx, timer_calls);
        cb(opaque); /* may free the timer */
        aio__lock_take(&list->lock);
    }
    list->run_now = outer_now;
    list->run_order = outer_order;
    bool tell = false;
    aio__timer_set_give_back(&list->set);
    if (--list->runs == 0) {
        aio__timer_set_bring_back(&list->set);
        tell = list->awaited;
        list->awaited = false;
    }
    publish(list);
    aio__lock_drop(&list->lock);
    if (tell) {
        aio__clock_callbacks_ended();
    }
    return ran;
}

static bool due(AioTimerList *list)
{
    uint64_t earliest = load(&list->earliest);
    return earliest != AIO_TIMERS_NONE && aio__clock_is_enabled(list->clock) &&
           earliest <= (uint64_t)aio_clock_get_ns(list->clock);
}

bool aio__timers_due(AioContext *ctx)
{
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        if (due(&ctx->timers[clock])) {
            return true;
        }
    }
    return false;
}

unsigned aio__timers_run(AioContext *ctx)
{
    unsigned ran = 0;
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        AioTimerList *list = &ctx->timers[clock];
        uint64_t earliest = load(&list->earliest);
        if (earliest == AIO_TIMERS_NONE || !aio__clock_is_enabled(list->clock)) {
            continue;
        }
        int64_t now = aio_clock_get_ns(list->clock);
        if (earliest <= (uint64_t)now) {
            ran += run_list(list, now);
        }
    }
    return ran;
}

/* The moment until which a wait may last. */
static uint64_t wake_moment(AioTimerList *list)
{
    if (!has_slack(list)) {
        return load(&list->earliest);
    }
    aio__lock_take(&list->lock);
    uint64_t moment = aio__timer_set_latest(&list->set);
    store(&list->wake, moment);
    aio__lock_drop(&list->lock);
    return moment;
}

static int64_t timeout_ns(AioTimerList *list)
{
    if (load(&list->earliest) == AIO_TIMERS_NONE || !aio__clock_is_enabled(list->clock)) {
        return -1;
    }
    uint64_t moment = wake_moment(list);
    if (moment == AIO_TIMERS_NONE) {
        return -1; /* disarmed by another thread meanwhile */
    }
    int64_t now = aio_clock_get_ns(list->clock);
    int64_t timeout = (int64_t)moment > now ? (int64_t)moment - now : 0;
    if (list->clock == AIO_CLOCK_VIRTUAL) {
        return timeout > 0 ? -1 : 0;
    }
    return list->clock == AIO_CLOCK_HOST && timeout > HOST_LOOK_NS ? HOST_LOOK_NS : timeout;
}

int64_t aio__timers_timeout_ns(AioContext *ctx)
{
    int64_t timeout = -1;
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        timeout = aio_soonest_timeout(timeout, timeout_ns(&ctx->timers[clock]));
    }
    return timeout;
}

bool aio__timers_armed(AioContext *ctx, AioClock clock)
{
    return load(&ctx->timers[clock].earliest) != AIO_TIMERS_NONE;
}

uint64_t aio__timers_earliest_ns(AioTimerList *list, unsigned without)
{
    aio__lock_take(&list->lock);
    uint64_t earliest = load(&list->earliest);
    if (without || list->runs > 0 || list->set.aside_earliest != AIO_TIMERS_NONE) {
        earliest = aio__timer_set_earliest_without(&list->set, without);
    }
    aio__lock_drop(&list->lock);
    return earliest;
}

bool aio__timers_await(AioTimerList *list)
{
    aio__lock_take(&list->lock);
    list->awaited = list->runs > 0;
    bool running = list->awaited;
    aio__lock_drop(&list->lock);
    return running;
}

bool aio__timers_running_here(AioTimerList *list)
{
    aio__lock_take(&list->lock);
    bool here = list->runs > 0 && list->runner == aio__thread_id();
    aio__lock_drop(&list->lock);
    return here;
}

int aio__timers_init(AioContext *ctx)
{
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        AioTimerList *list = &ctx->timers[clock];
        *list = (AioTimerList){.ctx = ctx, .clock = (AioClock)clock};
        aio__timer_set_init(&list->set);
        atomic_init(&list->earliest, AIO_TIMERS_NONE);
        aio__lock_init(&list->lock);
        aio__clock_add((AioClock)clock, &list->on_clock);
    }
    return 0;
}

void aio__timers_destroy(AioContext *ctx)
{
    for (int clock = 0; clock < AIO_CLOCK_MAX; clock++) {
        AioTimerList *list = &ctx->timers[clock];
        aio__clock_remove(&list->on_clock);
        aio__lock_destroy(&list->lock);
        aio__timer_set_destroy(&list->set);
    }
}
