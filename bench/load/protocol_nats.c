/* NATS's client protocol, as nats-server speaks it over WebSocket. `verbose` makes it answer each publish. */
#include "protocol.h"

#include <stdio.h>

enum progress { CONNECTING, CONNECTED, SUBSCRIBED };

#define PROGRESS(connection) ((connection)->state[0])

static void name_channel(char *name, size_t capacity, const char *channel)
{
    snprintf(name, capacity, "%s", channel);
    for (char *at = name; *at != 0; at++) {
        if (*at == '/') {
            *at = '.';
        } else if (*at == '*') {
            *at = '>'; /* as AppSync's wildcard: any number of further segments */
        }
    }
}

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    (void)connection;
    snprintf(upgrade->path, sizeof upgrade->path, "%s", options.path != NULL ? options.path : "/");
}

static bool is_verbose(const struct connection *connection) { return connection->publisher && options.acknowledge; }

static void opened(struct connection *connection)
{
    char message[200];
    int length = snprintf(message, sizeof message,
        "CONNECT {\"verbose\":%s,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n",
        is_verbose(connection) ? "true" : "false");
    websocket_send(connection, message, (size_t)length);
}

/* Subscriptions are not confirmed, but a PONG comes after what was sent before its PING is done. */
static void subscribe(struct connection *connection)
{
    char message[200];
    int length = snprintf(message, sizeof message, "SUB %s 1\r\nPING\r\n", channel_name(connection->channel));
    websocket_send(connection, message, (size_t)length);
}

static void publish(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    (void)number;
    (void)count;
    char head[200];
    size_t length = (size_t)snprintf(head, sizeof head, "PUB %s %zu\r\n", channel_name(channel), options.bytes);
    uint8_t *out = websocket_begin(connection, length + options.bytes + 2);
    memcpy(out, head, length);
    memcpy(out + length, events[0], options.bytes);
    memcpy(out + length + options.bytes, "\r\n", 2);
}

/* Returns the length of the message behind "MSG channel id length", or 0 where the message has not come as a whole. */
static size_t receive_event(struct connection *connection, const uint8_t *data, const uint8_t *line_end, size_t length)
{
    size_t size = 0, factor = 1;
    for (const uint8_t *digit = line_end - 2; *digit != ' '; digit--, factor *= 10) {
        size += (size_t)(*digit - '0') * factor;
    }
    const uint8_t *body = line_end + 1;
    size_t consumed = (size_t)(body - data) + size + 2;
    if (consumed > length) {
        return 0;
    }
    const uint8_t *text = event_before(body, size, 1);
    if (text != NULL) {
        delivered(connection, text);
    } else {
        failed(connection, "an event that nobody published", data, consumed);
    }
    return consumed;
}

static void receive_pong(struct connection *connection)
{
    if (PROGRESS(connection) == CONNECTING) {
        PROGRESS(connection) = CONNECTED;
        connected(connection);
    } else if (PROGRESS(connection) == CONNECTED && !connection->publisher) {
        PROGRESS(connection) = SUBSCRIBED;
        subscribed(connection);
    }
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    size_t consumed = 0;
    while (consumed < length) {
        const uint8_t *line = data + consumed;
        const uint8_t *end = memchr(line, '\n', length - consumed);
        if (end == NULL) {
            break;
        }
        size_t line_length = (size_t)(end + 1 - line);
        if (line[0] == 'M') {
            line_length = receive_event(connection, line, end, length - consumed);
            if (line_length == 0) {
                break;
            }
        } else if (line[0] == '+') {
            if (PROGRESS(connection) != CONNECTING) {
                acknowledged_next(connection);
            }
        } else if (line_length >= 4 && memcmp(line, "PING", 4) == 0) {
            websocket_send(connection, "PONG\r\n", 6);
        } else if (line_length >= 4 && memcmp(line, "PONG", 4) == 0) {
            receive_pong(connection);
        } else if (line[0] == '-') {
            failed(connection, "the server answered", line, line_length);
        }
        consumed += line_length;
    }
    return consumed;
}

const struct protocol protocol_nats = {
    .name = "nats",
    .binary = true,
    .stream = true,
    .unacknowledged = true,
    .wildcards = true,
    .batch_max = 1,
    .channel = name_channel,
    .upgrade = upgrade,
    .opened = opened,
    .subscribe = subscribe,
    .publish = publish,
    .receive = receive,
};
