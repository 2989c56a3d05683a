/* Makes events, publishes them at a rate or by a window, and checks what arrives. */
#include "load.h"

#include <stdlib.h>

struct flow flow;

/* Of all publishers. Enough for what is under way at a fixed rate: beyond it the server is seconds behind, and publishes wait here. */
#define SLOTS_AT_RATE 65536
#define OUT_MAX (256 * 1024)
#define BATCH_MAX 5
#define NUMBERS_END (EVENT_MARK_LENGTH + 5 * 8)
#define FILLING_CHECKED_EVERY 16 /* events: a power of two. Looking at all of every event costs more than all other checks together */

/* ---- Numbers in events: four bits a character ---- */

static inline void put_word(uint8_t *text, uint32_t value)
{
    uint64_t bits = value;
    bits = (bits | bits << 16) & 0x0000ffff0000ffffu;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ffu;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0fu;
    bits += 0x6161616161616161u;
    memcpy(text, &bits, 8);
}

static inline uint32_t get_word(const uint8_t *text, uint64_t *invalid)
{
    uint64_t bits;
    memcpy(&bits, text, 8);
    bits -= 0x6161616161616161u;
    *invalid |= bits & 0xf0f0f0f0f0f0f0f0u;
    bits = (bits | bits >> 4) & 0x00ff00ff00ff00ffu;
    bits = (bits | bits >> 8) & 0x0000ffff0000ffffu;
    return (uint32_t)(bits | bits >> 16);
}

const uint8_t *event_search(const uint8_t *data, size_t length)
{
    const uint8_t *text = memmem(data, length, EVENT_MARK, EVENT_MARK_LENGTH);
    return text != NULL && length - (size_t)(text - data) >= options.text_length ? text : NULL;
}

/* ---- Streams ---- */

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory;
}

static uint8_t *events[BATCH_MAX];

static void make_events(void)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        events[i] = allocate(1, options.bytes);
        memset(events[i], 'x', options.bytes);
        events[i][0] = events[i][options.bytes - 1] = '"';
        events[i][options.bytes - 2] = '.';
        memcpy(events[i] + 1, EVENT_MARK, EVENT_MARK_LENGTH);
    }
}

/*
 * With more channels than publishers each channel has one publisher, and a publisher takes its channels in turn. With fewer, publishers
 * share channels. A stream is a pair of both.
 */
void flow_prepare(void)
{
    uint32_t publishers = flow.publisher_count, channels = flow.channel_count;
    make_events();
    flow.stream_count = channels >= publishers ? channels : publishers;
    flow.stream_channel = allocate(flow.stream_count, sizeof *flow.stream_channel);
    flow.stream_publisher = allocate(flow.stream_count, sizeof *flow.stream_publisher);
    flow.stream_index = allocate(flow.stream_count, sizeof *flow.stream_index);
    flow.published = allocate(flow.stream_count, sizeof *flow.published);
    flow.channel_subscribers = allocate(channels, sizeof *flow.channel_subscribers);
    flow.publishers = allocate(publishers, sizeof *flow.publishers);
    flow.streams_of_channel = (flow.stream_count + channels - 1) / channels;
    for (uint32_t stream = 0; stream < flow.stream_count; stream++) {
        flow.stream_channel[stream] = stream % channels;
        flow.stream_publisher[stream] = stream % publishers;
        flow.stream_index[stream] = stream / channels;
    }
    uint32_t window = flow.rate > 0 ? SLOTS_AT_RATE / publishers + 1 : flow.window / options.batch > 0 ? flow.window / options.batch : 1;
    uint32_t slots = 1;
    while (slots < window) {
        slots *= 2;
    }
    for (uint32_t i = 0; i < publishers; i++) {
        struct publisher *publisher = &flow.publishers[i];
        publisher->first_stream = i;
        publisher->stream_count = (flow.stream_count - i + publishers - 1) / publishers;
        publisher->window = window;
        publisher->slot_mask = slots - 1;
        publisher->slots = allocate(slots, sizeof *publisher->slots);
    }
}

void session_expect(struct session *session)
{
    if (flow.streams_of_channel > 1) {
        session->expected_of = allocate(flow.streams_of_channel, sizeof *session->expected_of);
    }
}

/* ---- Publishing ---- */

static bool has_room(const struct publisher *publisher)
{
    if (publisher->session->connection.out.length >= OUT_MAX) {
        return false;
    }
    return publisher->next < publisher->window
        || atomic_load_explicit(&publisher->slots[(publisher->next - publisher->window) & publisher->slot_mask].remaining, memory_order_acquire) == 0;
}

static void publish(struct publisher *publisher, uint64_t time_ns)
{
    uint32_t number = publisher->next++;
    uint32_t stream = publisher->first_stream + (publisher->stream_count > 1 ? number % publisher->stream_count * flow.publisher_count : 0);
    uint32_t channel = flow.stream_channel[stream];
    uint32_t deliveries = options.batch * flow.channel_subscribers[channel];
    struct slot *slot = &publisher->slots[number & publisher->slot_mask];
    for (unsigned i = 0; i < options.batch; i++) {
        uint8_t *text = events[i] + 1 + EVENT_MARK_LENGTH;
        put_word(text, stream);
        put_word(text + 8, flow.published[stream]++);
        put_word(text + 16, number);
        put_word(text + 24, (uint32_t)time_ns);
        put_word(text + 32, (uint32_t)(time_ns >> 32));
    }
    slot->number = number;
    slot->time_ns = time_ns;
    slot->unacknowledged = options.acknowledge;
    atomic_store_explicit(&slot->remaining, (flow.rate > 0 ? 0 : deliveries) + options.acknowledge, memory_order_release);
    flow.published_events += options.batch;
    flow.expected_deliveries += deliveries;
    struct connection *connection = &publisher->session->connection;
    (connection->http ? protocol->post : protocol->publish)(connection, channel, number, (const uint8_t *const *)events, options.batch);
}

void flow_begin(uint64_t now)
{
    flow.start_ns = now;
    flow.publishes = 0;
    flow.next_due_ns = now;
    flow.on = true;
}

void flow_end(void)
{
    flow.on = false;
}

static void publish_due(void)
{
    uint64_t now = now_ns();
    double interval = 1e9 / flow.rate;
    while (flow.next_due_ns <= now) {
        struct publisher *publisher = &flow.publishers[flow.publishes % flow.publisher_count];
        if (!has_room(publisher)) {
            session_flush(publisher->session);
            break; /* the intended time stays what it is */
        }
        if (now - flow.next_due_ns > flow.latest_ns) {
            flow.latest_ns = now - flow.next_due_ns;
        }
        publish(publisher, flow.next_due_ns);
        flow.publishes++;
        flow.next_due_ns = flow.start_ns + (uint64_t)(interval * (double)flow.publishes);
        if (flow.publisher_count > 1) {
            session_flush(publisher->session);
        }
    }
    if (flow.publisher_count == 1) {
        session_flush(flow.publishers[0].session);
    }
}

void flow_publish(void)
{
    if (!flow.on) {
        return;
    }
    if (flow.rate > 0) {
        publish_due();
        return;
    }
    for (uint32_t i = 0; i < flow.publisher_count; i++) {
        struct publisher *publisher = &flow.publishers[i];
        if (has_room(publisher)) {
            uint64_t now = now_ns();
            do {
                publish(publisher, now);
            } while (has_room(publisher));
            session_flush(publisher->session);
        }
    }
}

void flow_publish_once(void)
{
    uint64_t now = now_ns();
    for (uint32_t i = 0; i < flow.publisher_count; i++) {
        for (uint32_t j = 0; j < flow.publishers[i].stream_count; j++) {
            publish(&flow.publishers[i], now);
        }
        session_flush(flow.publishers[i].session);
    }
}

/* ---- What arrives ---- */

static void complete_part(struct worker *worker, struct slot *slot)
{
    uint32_t before;
    if (flow.threaded) {
        before = atomic_fetch_sub_explicit(&slot->remaining, 1, memory_order_acq_rel);
    } else {
        before = atomic_load_explicit(&slot->remaining, memory_order_relaxed); /* a locked instruction each would cost as much as the rest */
        atomic_store_explicit(&slot->remaining, before - 1, memory_order_relaxed);
    }
    if (before == 1) {
        worker->completed = true;
    }
}

static inline bool is_measured(uint64_t time_ns)
{
    return time_ns >= atomic_load_explicit(&flow.measure_from_ns, memory_order_relaxed)
        && time_ns < atomic_load_explicit(&flow.measure_until_ns, memory_order_relaxed);
}

static void acknowledge(struct connection *connection, uint32_t number)
{
    struct worker *worker = ((struct session *)connection)->worker;
    struct publisher *publisher = &flow.publishers[connection->number];
    struct slot *slot = &publisher->slots[number & publisher->slot_mask];
    if (!connection->publisher || number >= publisher->next || slot->number != number || !slot->unacknowledged) {
        fail("publish %u of publisher %u was acknowledged twice, or never made", number, connection->number);
    }
    COUNT(worker->acknowledgements, 1);
    if (is_measured(slot->time_ns)) {
        histogram_record(worker->acknowledgement, worker->now_ns - slot->time_ns);
    }
    complete_part(worker, slot);
    slot->unacknowledged = false;
}

void acknowledged(struct connection *connection, uint32_t number) { acknowledge(connection, number); }

void acknowledged_next(struct connection *connection)
{
    acknowledge(connection, flow.publishers[connection->number].next_acknowledged++);
}

/*
 * Not the event that was expected: some are missing before it, or it came again, or it was missing until now. A slow subscriber may miss what
 * it had no room for, and no more.
 */
static bool is_late_or_early(struct session *session, uint32_t stream, uint32_t sequence, uint32_t *expected)
{
    struct worker *worker = session->worker;
    _Atomic uint64_t *missing = session->slow ? &worker->slow_missing : &worker->missing;
    if (sequence > *expected) {
        if (worker->gap_count < GAPS_MAX) {
            worker->gaps[worker->gap_count++] = (struct gap) { session, stream, *expected, sequence };
        }
        COUNT(*missing, sequence - *expected);
        *expected = sequence + 1;
        return true;
    }
    for (uint32_t i = 0; i < worker->gap_count; i++) {
        struct gap *gap = &worker->gaps[i];
        if (gap->session == session && gap->stream == stream && sequence >= gap->from && sequence < gap->to) {
            struct gap rest = { session, stream, sequence + 1, gap->to };
            gap->to = sequence;
            if (rest.from < rest.to && worker->gap_count < GAPS_MAX) {
                worker->gaps[worker->gap_count++] = rest;
            }
            COUNT(*missing, (uint64_t)-1);
            COUNT(worker->out_of_order, 1);
            return true;
        }
    }
    COUNT(worker->duplicate, 1);
    return false;
}

void delivered(struct connection *connection, const uint8_t *text)
{
    struct session *session = (struct session *)connection;
    struct worker *worker = session->worker;
    uint64_t invalid = 0;
    const uint8_t *numbers = text + EVENT_MARK_LENGTH;
    uint32_t stream = get_word(numbers, &invalid);
    uint32_t sequence = get_word(numbers + 8, &invalid);
    uint32_t number = get_word(numbers + 16, &invalid);
    uint64_t time_ns = get_word(numbers + 24, &invalid) | (uint64_t)get_word(numbers + 32, &invalid) << 32;
    bool damaged = sequence % FILLING_CHECKED_EVERY == 0
        ? memcmp(text + NUMBERS_END, events[0] + 1 + NUMBERS_END, options.text_length - NUMBERS_END) != 0 : text[options.text_length - 1] != '.';
    if (invalid != 0 || damaged || stream >= flow.stream_count) {
        failed(connection, "an event was damaged", text, options.text_length);
    }
    if (flow.stream_channel[stream] != connection->channel && !flow.wildcards) {
        failed(connection, "an event of a channel that was not subscribed to", text, options.text_length);
    }
    uint32_t *expected = session->expected_of == NULL ? &session->expected : &session->expected_of[flow.stream_index[stream]];
    if (sequence == *expected) {
        *expected = sequence + 1;
    } else if (!is_late_or_early(session, stream, sequence, expected)) {
        return;
    }
    if (session->slow) {
        COUNT(worker->deliveries_ignored, 1);
        return;
    }
    COUNT(worker->deliveries, 1);
    if (is_measured(time_ns)) {
        histogram_record(worker->delivery, worker->now_ns - time_ns);
    }
    if (flow.rate == 0) {
        struct publisher *publisher = &flow.publishers[flow.stream_publisher[stream]];
        complete_part(worker, &publisher->slots[number & publisher->slot_mask]);
    }
}

uint64_t flow_missing_of(const struct session *session)
{
    uint64_t missing = 0;
    for (uint32_t i = 0; i < flow.streams_of_channel; i++) {
        uint32_t stream = (flow.wildcards ? 0 : session->connection.channel) + i * flow.channel_count;
        if (stream < flow.stream_count) {
            missing += flow.published[stream] - (session->expected_of == NULL ? session->expected : session->expected_of[i]);
        }
    }
    return missing;
}
