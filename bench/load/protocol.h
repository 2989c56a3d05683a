/*
 * What the load generator (load.c) and a protocol (protocol_*.c) know of each other.
 *
 * A protocol is one `struct protocol` of functions. The generator opens sockets, speaks HTTP/1.1 and RFC 6455, makes events, counts and
 * measures; a protocol says what goes into messages and what comes out of them. It reports by the calls under "Reports".
 * No function here may allocate per message. All of one connection's functions are called from one thread.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- What was asked for ---- */

struct options {
    const char *host;           /* for the Host header, with the port */
    const char *key;            /* --key: a credential, where the protocol has one */
    const char *path;           /* --path: instead of the protocol's own path, or NULL */
    const char *namespace_name; /* --namespace */
    size_t bytes;               /* size of an event, which is a JSON string with its quotes */
    size_t text_length;         /* bytes - 2: the event without its quotes; nothing in it needs escaping in JSON */
    unsigned batch;             /* events per publish */
    bool acknowledge;           /* publishes are to be acknowledged; false (--no-acknowledge) only where the protocol has it */
};

extern struct options options;

/* ---- Events ---- */

/*
 * The text of an event: "Fanfare!", stream (8 characters), sequence (8), publish (8), intended time (16), filling, "." at the end.
 * Numbers are written four bits a character, 'a' to 'p'. A stream is what has an order: one publisher's events for one channel.
 */
#define EVENT_MARK "Fanfare!"
#define EVENT_MARK_LENGTH 8
#define EVENT_TEXT_MIN 56

const uint8_t *event_search(const uint8_t *data, size_t length);

/* The text of the event in a message that has `behind` bytes after the text; where it is not there, it is searched. NULL: there is none. */
static inline const uint8_t *event_before(const uint8_t *message, size_t length, size_t behind)
{
    if (length >= options.text_length + behind) {
        const uint8_t *text = message + length - behind - options.text_length;
        if (memcmp(text, EVENT_MARK, EVENT_MARK_LENGTH) == 0) {
            return text;
        }
    }
    return event_search(message, length);
}

/* ---- Connections ---- */

struct buffer {
    uint8_t *data;
    size_t length, capacity;
};

uint8_t *buffer_extend(struct buffer *buffer, size_t length); /* room for `length` more, which count as written */
void buffer_append(struct buffer *buffer, const void *data, size_t length);

struct connection {
    uint32_t number;   /* from 0, among the subscribers or among the publishers */
    uint32_t channel;  /* a subscriber's channel (see channel_name) */
    bool publisher;
    bool http;         /* a publisher that posts (struct protocol, post) */
    uint64_t state[3]; /* for the protocol, zero at first */
    struct buffer out; /* is sent after the call returns; for WebSocket messages use websocket_begin or websocket_send */
};

/* A channel's name in the protocol's own form, as struct protocol's `name` made it. */
const char *channel_name(uint32_t channel);

/* Adds a message of exactly `length` bytes to what is sent, and returns where they are to be written. Masked with key 0, so unchanged. */
uint8_t *websocket_begin(struct connection *connection, size_t length);
void websocket_send(struct connection *connection, const void *data, size_t length);

/* ---- Reports ---- */

void connected(struct connection *connection);   /* may subscribe or publish from now on */
void subscribed(struct connection *connection);  /* the subscription is confirmed */
void delivered(struct connection *connection, const uint8_t *text); /* from event_before or event_search */
void acknowledged(struct connection *connection, uint32_t number);  /* the publish that had this number */
void acknowledged_next(struct connection *connection);              /* the oldest, where acknowledgements have an order but no number */
void failed(struct connection *connection, const char *what, const void *data, size_t length); /* ends the run; data is shown */

/* ---- A protocol ---- */

struct upgrade {
    char path[512];
    char headers[1024]; /* lines that end in \r\n, Sec-WebSocket-Protocol among them; not those that every upgrade has */
};

struct protocol {
    const char *name;
    bool binary;         /* sends binary messages */
    bool stream;         /* what arrives in messages is a stream of bytes: `receive` may leave a tail for the next time */
    bool unacknowledged; /* can publish without acknowledgement */
    bool wildcards;
    unsigned batch_max;  /* events in one publish */
    unsigned tick_seconds; /* how often `tick` is called for each connection; 0: never */

    /* Writes the protocol's form of a channel such as "default/c17"; a wildcard ends in "/" and a star. Called once per channel. */
    void (*channel)(char *name, size_t capacity, const char *channel);

    void (*upgrade)(const struct connection *connection, struct upgrade *upgrade);

    /* The upgrade succeeded: say hello, or call connected() at once. */
    void (*opened)(struct connection *connection);

    /* Subscribe to connection->channel, or call subscribed() at once where connecting did it. */
    void (*subscribe)(struct connection *connection);

    /*
     * Publishes `count` events (JSON texts of options.bytes each) to a channel. `number` counts the connection's publishes from 0;
     * if options.acknowledge, each is to be answered by one acknowledged(number) or acknowledged_next().
     */
    void (*publish)(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count);

    /* The same over HTTP/1.1: appends a whole request to connection->out. NULL where there is none. */
    void (*post)(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count);

    /* The answer to the oldest open request. */
    void (*posted)(struct connection *connection, int status, const uint8_t *body, size_t length);

    /* One message; with `stream`, the bytes not yet consumed. Returns how many were consumed: all, unless `stream`. */
    size_t (*receive)(struct connection *connection, const uint8_t *data, size_t length);

    void (*tick)(struct connection *connection);

    /* If true, publishing is by `post` alone. */
    bool http_only_publish;
};

extern const struct protocol protocol_appsync, protocol_nats, protocol_mqtt, protocol_nchan, protocol_signalr, protocol_socketio;

#endif
