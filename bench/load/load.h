/* What the parts of the load generator share: connections (connection.c), events and their flow (flow.c), scenarios (load.c). */
#ifndef LOAD_H
#define LOAD_H

#include "measure.h"
#include "protocol.h"

#include <stdatomic.h>

extern const struct protocol *const protocols[]; /* ends with NULL */
extern const struct protocol *protocol;          /* the one in use */

/* ---- Connections ---- */

enum state { UNUSED, UPGRADING, OPENING, SUBSCRIBING, READY, CLOSED };

/* A connection and what the generator keeps of it. */
struct session {
    struct connection connection; /* first, so that a pointer to it is one to the session */
    int socket;
    uint8_t state;
    bool waits_for_room;  /* the socket took less than there was to send */
    bool slow, paused;
    bool fragmented;      /* `assembly` holds the beginning of a message whose end has not come */
    uint16_t port;
    uint32_t expected;    /* sequence number of the next event, where there is one stream */
    uint32_t *expected_of; /* the same of each stream, where there are several */
    struct worker *worker;
    uint8_t *stash;       /* the beginning of a frame whose end has not come */
    uint32_t stash_length, stash_capacity;
    struct buffer assembly;
    uint32_t close_code;  /* from the server's close frame */
    uint32_t starts;      /* how often it was started: a storm uses it again */
    uint64_t started_ns;
};

struct gap {
    const struct session *session;
    uint32_t stream, from, to;
};

#define GAPS_MAX 4096

struct worker {
    int epoll, wake;
    bool publishes, completed;
    bool slow_paused;
    struct session **sessions;
    uint32_t session_count, next_to_start, starting;
    uint32_t tick_cursor;
    uint64_t now_ns;
    uint8_t *buffer;
    size_t buffer_capacity;
    _Atomic uint32_t start_limit;

    /* Figures, read by the main thread. */
    _Atomic uint32_t ready, lost;
    _Atomic uint64_t deliveries, deliveries_ignored, acknowledgements, connects;
    _Atomic uint64_t missing, slow_missing, duplicate, out_of_order;
    struct histogram *delivery, *acknowledgement, *connect;
    struct gap gaps[GAPS_MAX];
    uint32_t gap_count;
};

/* Counters have one writer each, so that adding needs no locked instruction. */
#define COUNT(counter, amount) \
    atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (amount), memory_order_relaxed)

struct setup {
    const char *address;
    unsigned concurrency;  /* connections on their way to be ready, of a worker */
    bool spread_sources;   /* many source addresses, since one has some 28,000 ports */
    int receive_buffer_slow;
    atomic_bool storm;     /* close each connection when it is ready, and begin anew */
    bool may_close;        /* the server may close connections */
    size_t receive_size;
};

extern struct setup setup;
extern atomic_bool slow_paused; /* sessions that are `slow` are not to be read */
extern atomic_bool stopping;

void worker_open(struct worker *worker);
void worker_turn(struct worker *worker, uint64_t until_ns);
void session_flush(struct session *session);
void session_reset(struct session *session); /* closes with RST: nothing stays behind on either side */

/* ---- Flow of events ---- */

struct slot {
    _Atomic uint32_t remaining; /* deliveries and acknowledgements that are still to come */
    uint32_t number;
    uint64_t time_ns;
    bool unacknowledged;
};

struct publisher {
    struct session *session;
    uint32_t first_stream, stream_count;
    uint32_t next, next_acknowledged;
    uint32_t window;
    uint32_t slot_mask;
    struct slot *slots;
};

struct flow {
    uint32_t publisher_count, channel_count, stream_count;
    struct publisher *publishers;
    uint32_t *channel_subscribers;   /* how many get what is published to a channel */
    uint32_t *stream_channel, *stream_publisher, *stream_index, *published;
    uint32_t streams_of_channel;     /* that a subscriber of a channel hears at most */
    bool wildcards;                  /* every subscriber gets everything */
    bool threaded;                   /* subscribers are read by other threads than publishers */
    double rate;                     /* publishes per second; 0: as the window allows */
    uint32_t window;                 /* events in flight of each publisher */

    bool on;                         /* publish */
    uint64_t start_ns, publishes;    /* of the present load */
    uint64_t next_due_ns;
    uint64_t published_events, expected_deliveries;
    uint64_t latest_ns;              /* by how much a publish was later than intended */
    _Atomic uint64_t measure_from_ns, measure_until_ns; /* events intended then count for the histograms */
};

extern struct flow flow;

void flow_prepare(void);
void flow_begin(uint64_t now_ns);
void flow_end(void);
void flow_publish(void);
void flow_publish_once(void); /* one event on every stream, outside any load */
void session_expect(struct session *session);
uint64_t flow_missing_of(const struct session *session); /* published and not received, gaps left out */

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
