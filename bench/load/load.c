/*
 * A load generator for WebSocket brokers that costs so little that the server is what is measured.
 *
 *   make && ./load --help
 *
 * One process, epoll, raw sockets. Frames are parsed in place in one buffer for all connections, nothing is allocated per message, and the
 * time is read once per recv. Every subscriber checks that it gets each event once, whole and in order.
 *
 * At a rate (open loop) latency counts from when an event was intended to be published, so a stall of the server or of this program is seen in
 * all the events that it held up. By a window (closed loop) an event is in flight until all its subscribers have it and it was acknowledged.
 *
 * One line of JSON goes to stdout, and the same for people to stderr. The exit code is 0 only if nothing was missing, twice, out of order or
 * refused.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS_MAX 16
#define PORTS_MAX 16
#define CHANNEL_NAME_MAX 96
#define SECOND 1000000000u
#define IDLE_WARMING 20 /* connections that come and go before the memory is measured */
#define SLOW_SETTLE_NS (10ull * SECOND) /* a server may give the slow what it kept for them a little at a time */
#define QUIET_NS (5ull * SECOND) /* after which what has not come counts as missing */

struct options options = { .key = "da2-aaaaaaaaaaaaaaaa", .namespace_name = "default", .batch = 1, .acknowledge = true };
const struct protocol *protocol;

static const char *scenario;
static struct {
    const char *protocol;
    uint16_t subscribe_ports[PORTS_MAX], publish_port;
    unsigned subscribe_port_count;
    double seconds, warmup, settle, rate, delivery_rate, slow_share;
    unsigned threads, subscribers, publishers, channels, connections, window;
    bool http;
} asked = { .protocol = "appsync", .seconds = 5, .settle = 5, .slow_share = 0.1, .threads = 1, .subscribers = UINT32_MAX, .publishers = 1 };

static struct worker workers[THREADS_MAX];
static pthread_t threads[THREADS_MAX];
static struct session *subscribers, *publishers;
static char (*channel_names)[CHANNEL_NAME_MAX];

const char *channel_name(uint32_t channel) { return channel_names[channel]; }

void fail(const char *format, ...)
{
    va_list arguments;
    char text[1500];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "load: %s\n", text);
    for (char *c = text; *c != 0; c++) {
        *c = *c == '"' || *c == '\\' || (unsigned char)*c < ' ' || (unsigned char)*c > '~' ? '\'' : *c;
    }
    printf("{\"scenario\":\"%s\",\"protocol\":\"%s\",\"ok\":false,\"error\":\"%s\"}\n", scenario, asked.protocol, text);
    fflush(stdout);
    _exit(1);
}

/* ---- Report ---- */

static void report_begin(void)
{
    printf("{\"scenario\":\"%s\",\"protocol\":\"%s\"", scenario, asked.protocol);
}

static void report(const char *name, double value)
{
    if (value == (double)(int64_t)value) {
        printf(",\"%s\":%lld", name, (long long)value);
    } else {
        printf(",\"%s\":%.4f", name, value);
    }
    fprintf(stderr, "%32s  %.*f\n", name, value == (double)(int64_t)value ? 0 : 3, value);
}

static void report_latency(const char *name, const struct histogram *histogram)
{
    static const struct { const char *name; double quantile; } quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 } };
    char field[64];
    if (histogram->count == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        snprintf(field, sizeof field, "%s_%s_us", name, quantiles[i].name);
        report(field, (double)histogram_quantile(histogram, quantiles[i].quantile) / 1e3);
    }
}

/* ---- Sums over workers ---- */

#define SUM(member) sum(offsetof(struct worker, member))

static uint64_t sum(size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < asked.threads; i++) {
        total += atomic_load_explicit((_Atomic uint64_t *)((char *)&workers[i] + offset), memory_order_relaxed);
    }
    return total;
}

static uint32_t ready_count(void)
{
    uint32_t total = 0;
    for (unsigned i = 0; i < asked.threads; i++) {
        total += atomic_load_explicit(&workers[i].ready, memory_order_acquire);
    }
    return total;
}

static uint32_t lost_count(void)
{
    uint32_t total = 0;
    for (unsigned i = 0; i < asked.threads; i++) {
        total += atomic_load_explicit(&workers[i].lost, memory_order_acquire);
    }
    return total;
}

static struct histogram *total_of(size_t offset)
{
    struct histogram *total = calloc(1, sizeof *total);
    for (unsigned i = 0; total != NULL && i < asked.threads; i++) {
        struct histogram **histogram = (struct histogram **)((char *)&workers[i] + offset);
        histogram_add(total, *histogram);
    }
    return total;
}

#define TOTAL_OF(member) total_of(offsetof(struct worker, member))

/* ---- Running ---- */

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    prctl(PR_SET_TIMERSLACK, 1);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        worker_turn(worker, now_ns() + SECOND / 50);
    }
    return NULL;
}

static void run_until(uint64_t time_ns)
{
    while (now_ns() < time_ns) {
        worker_turn(&workers[0], time_ns);
    }
}

static void run_for(double seconds) { run_until(now_ns() + (uint64_t)(seconds * 1e9)); }

/* Turns until `value` says what is wanted, or nothing has changed for QUIET_NS. */
static bool run_until_reached(uint64_t (*value)(void), uint64_t wanted)
{
    uint64_t last = value(), changed = now_ns();
    while (last < wanted) {
        worker_turn(&workers[0], now_ns() + SECOND / 100);
        uint64_t next = value();
        if (next != last) {
            last = next;
            changed = now_ns();
        } else if (now_ns() - changed > QUIET_NS) {
            return false;
        }
    }
    return true;
}

static uint64_t deliveries(void) { return SUM(deliveries) + SUM(deliveries_ignored); }

static uint64_t acknowledgements(void) { return SUM(acknowledgements); }

static uint64_t ready_or_lost(void) { return ready_count() + lost_count(); }

static void make_sessions(struct session *sessions, unsigned count, bool publisher)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned first = asked.threads > 1 && !publisher ? 1 : 0;
        struct worker *worker = publisher ? &workers[0] : &workers[first + i % (asked.threads - first)];
        struct session *session = &sessions[i];
        session->connection.number = i;
        session->connection.publisher = publisher;
        session->connection.http = publisher && (asked.http || protocol->http_only_publish);
        session->port = publisher ? asked.publish_port : asked.subscribe_ports[i % asked.subscribe_port_count];
        session->worker = worker;
        worker->sessions[worker->session_count++] = session;
    }
}

/* The channels' names in the protocol's form: those that are published to, and then `patterns` for the subscribers. */
static void make_channels(unsigned count, const char *const *patterns, unsigned pattern_count)
{
    char name[CHANNEL_NAME_MAX];
    channel_names = calloc(count + pattern_count, sizeof *channel_names);
    if (channel_names == NULL) {
        fail("out of memory");
    }
    for (unsigned i = 0; i < count + pattern_count; i++) {
        if (i >= count) {
            snprintf(name, sizeof name, "%s/%s", options.namespace_name, patterns[i - count]);
        } else if (pattern_count > 0) {
            snprintf(name, sizeof name, "%s/a/b/c/d", options.namespace_name);
        } else {
            snprintf(name, sizeof name, "%s/c%u", options.namespace_name, i);
        }
        protocol->channel(channel_names[i], sizeof channel_names[i], name);
    }
}

/* Makes everything there is before the first connection. `patterns` may be NULL. */
static void prepare(unsigned subscriber_count, unsigned publisher_count, unsigned channel_count, const char *const *patterns, unsigned pattern_count)
{
    unsigned sessions = subscriber_count + publisher_count;
    make_channels(channel_count, patterns, pattern_count);
    flow.publisher_count = publisher_count;
    flow.channel_count = channel_count;
    flow.wildcards = pattern_count > 0;
    flow.threaded = asked.threads > 1;
    double deliveries_of_one = (double)subscriber_count / (pattern_count > 0 ? 1 : channel_count);
    double rate = asked.rate > 0 ? asked.rate : asked.delivery_rate > 0 && deliveries_of_one > 0 ? asked.delivery_rate / deliveries_of_one : 0;
    flow.rate = rate / options.batch;
    flow.window = asked.window;
    flow_prepare();
    subscribers = calloc(subscriber_count + 1, sizeof *subscribers);
    publishers = calloc(publisher_count, sizeof *publishers);
    if (subscribers == NULL || publishers == NULL) {
        fail("out of memory");
    }
    for (unsigned i = 0; i < asked.threads; i++) {
        workers[i].sessions = calloc(sessions, sizeof *workers[i].sessions);
        workers[i].publishes = i == 0;
        workers[i].start_limit = UINT32_MAX;
        worker_open(&workers[i]);
    }
    make_sessions(publishers, publisher_count, true);
    make_sessions(subscribers, subscriber_count, false);
    for (unsigned i = 0; i < publisher_count; i++) {
        flow.publishers[i].session = &publishers[i];
    }
    for (unsigned i = 0; i < subscriber_count; i++) {
        subscribers[i].connection.channel = pattern_count > 0 ? channel_count + i % pattern_count : i % channel_count;
        flow.channel_subscribers[pattern_count > 0 ? 0 : i % channel_count]++;
        session_expect(&subscribers[i]);
    }
}

static void start_threads(void)
{
    prctl(PR_SET_TIMERSLACK, 1);
    for (unsigned i = 1; i < asked.threads; i++) {
        if (pthread_create(&threads[i], NULL, run_worker, &workers[i]) != 0) {
            fail("no thread");
        }
    }
}

static void connect_all(unsigned count)
{
    if (!run_until_reached(ready_or_lost, count)) {
        fail("%u of %u connections became ready, and then none for %llu s", ready_count(), count, QUIET_NS / SECOND);
    }
}

struct interval {
    struct usage from, until;
    uint64_t deliveries, acknowledgements, published, connects;
};

static struct interval interval_begin(void)
{
    return (struct interval) {
        .deliveries = SUM(deliveries), .acknowledgements = SUM(acknowledgements), .published = flow.published_events, .connects = SUM(connects),
        .from = usage_now(),
    };
}

static void interval_end(struct interval *interval)
{
    interval->until = usage_now();
    interval->deliveries = SUM(deliveries) - interval->deliveries;
    interval->acknowledgements = SUM(acknowledgements) - interval->acknowledgements;
    interval->published = flow.published_events - interval->published;
    interval->connects = SUM(connects) - interval->connects;
}

static void report_usage(const struct interval *interval, uint64_t divisor, const char *per)
{
    double seconds = (double)(interval->until.time_ns - interval->from.time_ns) / 1e9;
    double server = (double)(interval->until.processes_ns - interval->from.processes_ns) / 1e9;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    char field[64];
    report("seconds", seconds);
    report("server_cores", server / seconds);
    report("generator_cores", (double)(interval->until.own_ns - interval->from.own_ns) / 1e9 / seconds);
    report("machine_cores", (double)(interval->until.machine_busy_ticks - interval->from.machine_busy_ticks) / ticks / seconds);
    if (divisor > 0 && server > 0) {
        snprintf(field, sizeof field, "server_us_per_%s", per);
        report(field, server * 1e6 / (double)divisor);
    }
}

/* Waits for what is still under way, and returns whether all was right. */
static bool report_correctness(void)
{
    uint64_t acknowledgements_wanted = options.acknowledge ? flow.published_events / options.batch : 0;
    if (SUM(missing) == 0) {
        run_until_reached(deliveries, flow.expected_deliveries);
    } else {
        run_for(1);
    }
    run_until_reached(acknowledgements, acknowledgements_wanted);
    run_for(0.05); /* what comes twice comes late */
    atomic_store(&stopping, true);
    for (unsigned i = 1; i < asked.threads; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t missing = SUM(missing);
    unsigned count = 0;
    for (unsigned i = 0; i < asked.threads; i++) {
        for (uint32_t j = 0; j < workers[i].session_count; j++) {
            const struct session *session = workers[i].sessions[j];
            if (!session->connection.publisher && !session->slow) {
                missing += flow_missing_of(session);
                count++;
            }
        }
    }
    uint64_t duplicate = SUM(duplicate), out_of_order = SUM(out_of_order), unacknowledged = acknowledgements_wanted - SUM(acknowledgements);
    report("missing", (double)missing);
    report("duplicate", (double)duplicate);
    report("out_of_order", (double)out_of_order);
    report("unacknowledged", (double)unacknowledged);
    if (missing + duplicate + out_of_order + unacknowledged > 0) {
        fprintf(stderr, "load: NOT CORRECT: of %u subscribers and %llu events %llu deliveries are missing, %llu came twice, %llu out of order; "
            "%llu publishes were not acknowledged\n", count, (unsigned long long)flow.published_events, (unsigned long long)missing,
            (unsigned long long)duplicate, (unsigned long long)out_of_order, (unsigned long long)unacknowledged);
        return false;
    }
    return true;
}

static int report_end(bool ok)
{
    printf(",\"ok\":%s}\n", ok ? "true" : "false");
    return ok ? 0 : 2;
}

static void report_rates(const struct interval *interval)
{
    double seconds = (double)(interval->until.time_ns - interval->from.time_ns) / 1e9;
    report("deliveries_per_s", (double)interval->deliveries / seconds);
    report("events_per_s", (double)interval->published / seconds);
    report("acknowledged_events_per_s", (double)interval->acknowledgements * options.batch / seconds);
    if (flow.rate > 0) {
        report("rate_asked_events_per_s", flow.rate * options.batch);
        report("latest_publish_us", (double)flow.latest_ns / 1e3);
        if ((double)interval->published / seconds < 0.98 * flow.rate * options.batch) {
            fprintf(stderr, "load: the rate asked for was not reached: publishes were held back\n");
        }
    } else {
        report("window_events", flow.publishers[0].window * options.batch);
    }
}

/* fanout, channels, wildcards, publish: all connections, a load, and its figures. */
static int run_load(unsigned subscriber_count)
{
    start_threads();
    connect_all(asked.publishers + subscriber_count);
    struct memory before = memory_now();
    uint64_t start = now_ns();
    atomic_store(&flow.measure_from_ns, start + (uint64_t)(asked.warmup * 1e9));
    atomic_store(&flow.measure_until_ns, start + (uint64_t)((asked.warmup + asked.seconds) * 1e9));
    flow_begin(start);
    run_until(flow.measure_from_ns);
    flow.latest_ns = 0;
    struct interval interval = interval_begin();
    run_until(flow.measure_until_ns);
    interval_end(&interval);
    flow_end();
    struct memory after = memory_now();

    report_begin();
    report("subscribers", subscriber_count);
    report("publishers", asked.publishers);
    report("channels", flow.channel_count);
    report("bytes", (double)options.bytes);
    report("batch", options.batch);
    report_rates(&interval);
    report_usage(&interval, subscriber_count > 0 ? interval.deliveries : interval.published, subscriber_count > 0 ? "delivery" : "event");
    report("resident_kb_before", (double)before.resident_kb);
    report("resident_kb_after", (double)after.resident_kb);
    bool ok = report_correctness();
    report_latency("latency", TOTAL_OF(delivery));
    report_latency("acknowledgement", TOTAL_OF(acknowledgement));
    return report_end(ok);
}

static unsigned default_window(unsigned subscriber_count)
{
    double memory = 256e6 / ((double)(subscriber_count + 1) * ((double)options.bytes + 40));
    return memory > 2000 ? 2000 : memory < 16 ? 16 : (unsigned)memory;
}

static unsigned or_default(unsigned value, unsigned otherwise) { return value == 0 || value == UINT32_MAX ? otherwise : value; }

static int fanout(void)
{
    unsigned count = or_default(asked.subscribers, 1000);
    asked.window = or_default(asked.window, default_window(count));
    prepare(count, asked.publishers, 1, NULL, 0);
    return run_load(count);
}

static int channels(void)
{
    unsigned channel_count = or_default(asked.channels, 1000), count = channel_count * or_default(asked.subscribers, 5);
    asked.window = or_default(asked.window, 2000);
    prepare(count, asked.publishers, channel_count, NULL, 0);
    return run_load(count);
}

static int wildcards(void)
{
    static const char *const patterns[] = { "a/b/c/d", "a/b/c/*", "a/b/*", "a/*", "*" };
    unsigned count = or_default(asked.subscribers, 1000);
    if (!protocol->wildcards) {
        fail("%s has no wildcards", protocol->name);
    }
    asked.window = or_default(asked.window, default_window(count));
    prepare(count, asked.publishers, 1, patterns, sizeof patterns / sizeof *patterns);
    return run_load(count);
}

static int publish(void)
{
    unsigned count = asked.subscribers == UINT32_MAX ? 0 : asked.subscribers;
    asked.window = or_default(asked.window, 64);
    prepare(count, asked.publishers, or_default(asked.channels, 1), NULL, 0);
    return run_load(count);
}

static int storm(void)
{
    unsigned count = or_default(asked.connections, 100);
    prepare(count, 1, or_default(asked.channels, 1), NULL, 0);
    atomic_store(&setup.storm, true);
    setup.concurrency = count;
    start_threads();
    run_for(asked.warmup > 0 ? asked.warmup : 0.2);
    for (unsigned i = 0; i < asked.threads; i++) {
        memset(workers[i].connect, 0, sizeof *workers[i].connect);
    }
    struct memory before = memory_now();
    struct interval interval = interval_begin();
    run_for(asked.seconds);
    interval_end(&interval);
    struct memory after = memory_now();
    atomic_store(&stopping, true);
    for (unsigned i = 1; i < asked.threads; i++) {
        pthread_join(threads[i], NULL);
    }
    if (interval.connects == 0) {
        fail("no connection became ready");
    }
    report_begin();
    report("concurrency", count);
    report("connects", (double)interval.connects);
    report("connects_per_s", (double)interval.connects / ((double)(interval.until.time_ns - interval.from.time_ns) / 1e9));
    report_usage(&interval, interval.connects, "connect");
    report("resident_kb_before", (double)before.resident_kb);
    report("resident_kb_after", (double)after.resident_kb);
    report_latency("connect", TOTAL_OF(connect));
    return report_end(true);
}

static int idle(void)
{
    unsigned count = or_default(asked.connections, 10000), half = count / 2;
    prepare(count, 1, or_default(asked.channels, 1), NULL, 0);
    setup.spread_sources = true;
    setup.concurrency = 64;
    for (unsigned i = 0; i < asked.threads; i++) {
        workers[i].start_limit = i == 0 ? 1 : 0; /* the publisher */
    }
    start_threads();
    connect_all(1);
    if (asked.warmup > 0) { /* what a server compiles and sets up once is not what a connection costs */
        atomic_store(&setup.storm, true);
        workers[asked.threads - 1].start_limit += IDLE_WARMING;
        run_for(asked.warmup);
        atomic_store(&setup.storm, false);
        connect_all(1 + IDLE_WARMING);
        run_for(asked.settle);
    }
    unsigned there = ready_count() - 1;
    struct memory before = memory_now(), middle;
    unsigned limits[] = { half, count };
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = 0; i < asked.threads; i++) {
            workers[i].start_limit = asked.threads == 1 ? limits[part] + 1 : i == 0 ? 1 : limits[part] / (asked.threads - 1) + (part == 1);
        }
        unsigned target = 0;
        for (unsigned i = 0; i < asked.threads; i++) {
            target += workers[i].start_limit < workers[i].session_count ? workers[i].start_limit : workers[i].session_count;
        }
        connect_all(target);
        run_for(asked.settle);
        if (part == 0) {
            middle = memory_now();
            half = target - 1;
        }
    }
    struct memory after = memory_now();
    struct interval interval = interval_begin();
    run_for(asked.seconds);
    interval_end(&interval);

    report_begin();
    report("connections", count);
    report("resident_kb_before", (double)before.resident_kb);
    report("resident_kb_after", (double)after.resident_kb);
    report("resident_kb_per_connection", ((double)after.resident_kb - (double)before.resident_kb) / (count - there));
    report("anonymous_kb_per_connection", ((double)after.anonymous_kb - (double)before.anonymous_kb) / (count - there));
    report("second_half_kb_per_connection", ((double)after.resident_kb - (double)middle.resident_kb) / (count - half));
    report_usage(&interval, 0, "");
    flow_publish_once(); /* they are idle, not dead */
    return report_end(report_correctness());
}

static uint64_t slow_settled(void)
{
    return SUM(deliveries_ignored) + lost_count();
}

static int slow(void)
{
    unsigned count = or_default(asked.subscribers, 100), slow_count = (unsigned)((double)count * asked.slow_share);
    if (asked.rate == 0 && asked.delivery_rate == 0) {
        asked.rate = 500;
    }
    prepare(count, 1, 1, NULL, 0);
    for (unsigned i = 0; i < slow_count; i++) {
        subscribers[i * count / slow_count].slow = true;
    }
    flow.channel_subscribers[0] = count - slow_count;
    start_threads();
    connect_all(count + 1);
    setup.may_close = true;
    uint64_t start = now_ns(), stop = start + (uint64_t)((asked.warmup + asked.seconds) * 1e9), end = stop + (uint64_t)(asked.seconds * 1e9);
    atomic_store(&flow.measure_from_ns, start + (uint64_t)(asked.warmup * 1e9));
    atomic_store(&flow.measure_until_ns, stop);
    flow_begin(start);
    run_until(flow.measure_from_ns);
    struct interval before = interval_begin();
    run_until(stop);
    interval_end(&before);
    run_for(0.5); /* what is under way belongs to the time before */
    struct histogram *latency_before = TOTAL_OF(delivery);
    struct memory memory_before = memory_now(), memory_max = memory_before;
    end += SECOND / 2;
    atomic_store(&flow.measure_from_ns, now_ns());
    atomic_store(&flow.measure_until_ns, end);
    for (unsigned i = 0; i < asked.threads; i++) {
        memset(workers[i].delivery, 0, sizeof *workers[i].delivery);
    }
    atomic_store(&slow_paused, true);
    flow.latest_ns = 0;
    struct interval during = interval_begin();
    while (now_ns() < end) {
        run_until(now_ns() + SECOND / 10 < end ? now_ns() + SECOND / 10 : end);
        struct memory memory = memory_now();
        memory_max = memory.resident_kb > memory_max.resident_kb ? memory : memory_max;
    }
    interval_end(&during);
    flow_end();
    run_for(0.2);
    struct memory memory_after = memory_now();
    atomic_store(&slow_paused, false); /* what had become of them? */
    uint64_t settled, settle_until = now_ns() + SLOW_SETTLE_NS;
    do {
        settled = slow_settled();
        run_for(1);
    } while (slow_settled() != settled && now_ns() < settle_until);

    report_begin();
    report("subscribers", count);
    report("slow", slow_count);
    report("bytes", (double)options.bytes);
    report_rates(&during);
    report_usage(&during, during.deliveries, "delivery");
    report_latency("before", latency_before);
    report_latency("during", TOTAL_OF(delivery));
    report("resident_kb_before", (double)memory_before.resident_kb);
    report("resident_kb_max", (double)memory_max.resident_kb);
    report("resident_kb_after", (double)memory_after.resident_kb);
    unsigned closed = 0, reset = 0, open = 0, others_closed = 0;
    uint32_t code = 0;
    uint64_t open_missing = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct session *session = &subscribers[i];
        bool ended = session->state == CLOSED || session->close_code != 0;
        if (!session->slow) {
            others_closed += ended;
        } else if (!ended) {
            open++;
            open_missing += flow_missing_of(session);
        } else if (session->close_code != 0) {
            closed++;
            code = session->close_code;
        } else {
            reset++;
        }
    }
    report("slow_closed_with_code", closed);
    if (code != 0) {
        report("slow_close_code", code);
    }
    report("slow_closed_without_code", reset);
    report("slow_open", open);
    report("slow_open_missing", (double)(open_missing + SUM(slow_missing)));
    report("others_closed", others_closed); /* and so their deliveries are missing */
    flow.expected_deliveries += SUM(deliveries_ignored);
    return report_end(report_correctness());
}

/* ---- Arguments ---- */

static const struct { const char *name; int (*run)(void); const char *help; } scenarios[] = {
    { "fanout", fanout, "one channel: --subscribers N (1000)" },
    { "channels", channels, "--channels N (1000), --subscribers N (5) to each, on a connection each" },
    { "wildcards", wildcards, "--subscribers N (1000) spread over a/b/c/d and the wildcards above it" },
    { "publish", publish, "--publishers P (1), --window W (64) of each, --batch K, --subscribers 0 (default) or more, --http" },
    { "storm", storm, "connect, subscribe, reset: --connections N (100) at a time" },
    { "idle", idle, "--connections N (10000), each subscribed: memory of the server" },
    { "slow", slow, "--subscribers N (100), of which --slow-share S (0.1) stop reading after --seconds; --rate (500), --bytes (4000)" },
};

static void help(void)
{
    printf("load SCENARIO [options]\n\n");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        printf("  %-10s %s\n", scenarios[i].name, scenarios[i].help);
    }
    printf("\nprotocols:");
    for (size_t i = 0; protocols[i] != NULL; i++) {
        printf(" %s", protocols[i]->name);
    }
    printf("\n\n"
        "  --protocol NAME            appsync\n"
        "  --host ADDRESS             127.0.0.1\n"
        "  --port P                   8080\n"
        "  --publish-port P           where to publish, if elsewhere\n"
        "  --subscribe-port P[,P]     where to subscribe, if elsewhere\n"
        "  --key TEXT, --path TEXT    what the protocol makes of them\n"
        "  --namespace NAME           the channels' first segment: default\n"
        "  --bytes N                  size of an event, a JSON string: 200 (slow: 4000)\n"
        "  --rate N                   events per second, or\n"
        "  --delivery-rate N          deliveries per second, or\n"
        "  --window N                 events in flight of each publisher (default: 2000, less with many subscribers)\n"
        "  --batch K                  events per publish: 1\n"
        "  --no-acknowledge           where the protocol can do without\n"
        "  --seconds S                measured: 5\n"
        "  --warmup S                 the same load before: 0 (idle: a storm)\n"
        "  --settle S                 idle: 5\n"
        "  --concurrency N            connections on their way at a time: 64\n"
        "  --slow-buffer BYTES        receive buffer of slow subscribers: 16384\n"
        "  --threads N                the first publishes, the others subscribe: 1\n"
        "  --pid P[,P]                the server's processes: their time and memory\n");
}

static unsigned parse_list(const char *text, int *values, unsigned max)
{
    unsigned count = 0;
    for (char *end; *text != 0; text = *end == ',' ? end + 1 : end) {
        long value = strtol(text, &end, 10);
        if (end == text || (*end != 0 && *end != ',') || value <= 0 || count == max) {
            fail("not a list of numbers: %s", text);
        }
        values[count++] = (int)value;
    }
    return count;
}

static double parse_number(const char *name, const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= min && value <= max)) {
        fail("--%s must be a number from %g to %g", name, min, max);
    }
    return value;
}

int main(int argc, char **argv)
{
    enum { PROTOCOL = 256, HOST, PORT, PUBLISH_PORT, SUBSCRIBE_PORT, KEY, PATH, NAMESPACE, BYTES, RATE, DELIVERY_RATE, WINDOW, BATCH, NO_ACKNOWLEDGE, SECONDS,
        WARMUP, SETTLE, CONCURRENCY, SLOW_BUFFER, SLOW_SHARE, THREADS, PID, SUBSCRIBERS, PUBLISHERS, CHANNELS, CONNECTIONS, HTTP, RECEIVE_SIZE, HELP };
    static const struct option names[] = {
        { "protocol", 1, NULL, PROTOCOL }, { "host", 1, NULL, HOST }, { "port", 1, NULL, PORT }, { "publish-port", 1, NULL, PUBLISH_PORT },
        { "subscribe-port", 1, NULL, SUBSCRIBE_PORT }, { "key", 1, NULL, KEY }, { "path", 1, NULL, PATH }, { "namespace", 1, NULL, NAMESPACE },
        { "bytes", 1, NULL, BYTES }, { "rate", 1, NULL, RATE }, { "delivery-rate", 1, NULL, DELIVERY_RATE }, { "window", 1, NULL, WINDOW },
        { "batch", 1, NULL, BATCH }, { "no-acknowledge", 0, NULL, NO_ACKNOWLEDGE }, { "seconds", 1, NULL, SECONDS }, { "warmup", 1, NULL, WARMUP },
        { "settle", 1, NULL, SETTLE }, { "concurrency", 1, NULL, CONCURRENCY }, { "slow-buffer", 1, NULL, SLOW_BUFFER },
        { "slow-share", 1, NULL, SLOW_SHARE }, { "threads", 1, NULL, THREADS }, { "pid", 1, NULL, PID }, { "subscribers", 1, NULL, SUBSCRIBERS },
        { "publishers", 1, NULL, PUBLISHERS }, { "channels", 1, NULL, CHANNELS }, { "connections", 1, NULL, CONNECTIONS }, { "http", 0, NULL, HTTP },
        { "receive-size", 1, NULL, RECEIVE_SIZE }, { "help", 0, NULL, HELP }, { NULL, 0, NULL, 0 },
    };
    static char host[128];
    int ports[PORTS_MAX], pids[PROCESSES_MAX], option;
    unsigned publish_port = 0, port = 8080;
    setup = (struct setup) { .address = "127.0.0.1", .concurrency = 64, .receive_buffer_slow = 16384, .receive_size = 128 * 1024 };
    scenario = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        const char *name = option >= PROTOCOL ? names[option - PROTOCOL].name : "";
        switch (option) {
        case PROTOCOL: asked.protocol = optarg; break;
        case HOST: setup.address = optarg; break;
        case PORT: port = (unsigned)parse_number(name, optarg, 1, 65535); break;
        case PUBLISH_PORT: publish_port = (unsigned)parse_number(name, optarg, 1, 65535); break;
        case SUBSCRIBE_PORT:
            asked.subscribe_port_count = parse_list(optarg, ports, PORTS_MAX);
            for (unsigned i = 0; i < asked.subscribe_port_count; i++) {
                asked.subscribe_ports[i] = (uint16_t)ports[i];
            }
            break;
        case KEY: options.key = optarg; break;
        case PATH: options.path = optarg; break;
        case NAMESPACE: options.namespace_name = optarg; break;
        case BYTES: options.bytes = (size_t)parse_number(name, optarg, EVENT_TEXT_MIN + 2, 200000); break;
        case RATE: asked.rate = parse_number(name, optarg, 0.1, 1e8); break;
        case DELIVERY_RATE: asked.delivery_rate = parse_number(name, optarg, 0.1, 1e8); break;
        case WINDOW: asked.window = (unsigned)parse_number(name, optarg, 1, 1 << 20); break;
        case BATCH: options.batch = (unsigned)parse_number(name, optarg, 1, 5); break;
        case NO_ACKNOWLEDGE: options.acknowledge = false; break;
        case SECONDS: asked.seconds = parse_number(name, optarg, 0.01, 3600); break;
        case WARMUP: asked.warmup = parse_number(name, optarg, 0, 3600); break;
        case SETTLE: asked.settle = parse_number(name, optarg, 0, 3600); break;
        case CONCURRENCY: setup.concurrency = (unsigned)parse_number(name, optarg, 1, 10000); break;
        case SLOW_BUFFER: setup.receive_buffer_slow = (int)parse_number(name, optarg, 1024, 1 << 26); break;
        case SLOW_SHARE: asked.slow_share = parse_number(name, optarg, 0, 1); break;
        case THREADS: asked.threads = (unsigned)parse_number(name, optarg, 1, THREADS_MAX); break;
        case PID: processes_set(pids, parse_list(optarg, pids, PROCESSES_MAX)); break;
        case SUBSCRIBERS: asked.subscribers = (unsigned)parse_number(name, optarg, 0, 100000); break;
        case PUBLISHERS: asked.publishers = (unsigned)parse_number(name, optarg, 1, 10000); break;
        case CHANNELS: asked.channels = (unsigned)parse_number(name, optarg, 1, 100000); break;
        case CONNECTIONS: asked.connections = (unsigned)parse_number(name, optarg, 2, 100000); break;
        case HTTP: asked.http = true; break;
        case RECEIVE_SIZE: setup.receive_size = (size_t)parse_number(name, optarg, 1024, 1 << 26); break;
        case HELP: help(); return 0;
        default: return 64;
        }
    }
    for (size_t i = 0; protocols[i] != NULL; i++) {
        protocol = strcmp(protocols[i]->name, asked.protocol) == 0 ? protocols[i] : protocol;
    }
    if (protocol == NULL) {
        fail("there is no such protocol");
    }
    if (options.batch > protocol->batch_max) {
        fail("%s takes %u events in a publish", protocol->name, protocol->batch_max);
    }
    if (!options.acknowledge && !protocol->unacknowledged) {
        fail("%s acknowledges every publish", protocol->name);
    }
    if (asked.http && protocol->post == NULL) {
        fail("%s has no publishing over HTTP", protocol->name);
    }
    if (options.bytes == 0) { /* the system holds megabytes for a connection, which are to be filled within seconds */
        options.bytes = optind < argc && strcmp(argv[optind], "slow") == 0 ? 4000 : 200;
    }
    options.text_length = options.bytes - 2;
    snprintf(host, sizeof host, "%s:%u", setup.address, port);
    options.host = host;
    asked.publish_port = (uint16_t)(publish_port > 0 ? publish_port : port);
    if (asked.subscribe_port_count == 0) {
        asked.subscribe_ports[asked.subscribe_port_count++] = (uint16_t)port;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (optind == argc - 1 && strcmp(argv[optind], scenarios[i].name) == 0) {
            scenario = scenarios[i].name;
            return scenarios[i].run();
        }
    }
    help();
    return 64;
}
