/* SignalR's JSON protocol without negotiation, with the hub of bench/SignalR. An invocation that has an id is answered by its completion. */
#include "protocol.h"

#include <stdio.h>

#define RECORD_END 0x1e
#define SUBSCRIBE_ID "s"

enum progress { OPENED, GREETED };

#define PROGRESS(connection) ((connection)->state[0])

static void name_channel(char *name, size_t capacity, const char *channel) { snprintf(name, capacity, "%s", channel); }

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    (void)connection;
    snprintf(upgrade->path, sizeof upgrade->path, "%s", options.path != NULL ? options.path : "/events");
}

static void opened(struct connection *connection)
{
    static const char greeting[] = "{\"protocol\":\"json\",\"version\":1}\x1e";
    websocket_send(connection, greeting, sizeof greeting - 1);
}

static void subscribe(struct connection *connection)
{
    char message[300];
    int length = snprintf(message, sizeof message,
        "{\"type\":1,\"invocationId\":\"" SUBSCRIBE_ID "\",\"target\":\"Subscribe\",\"arguments\":[\"%s\"]}\x1e",
        channel_name(connection->channel));
    websocket_send(connection, message, (size_t)length);
}

static void publish(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    static const char end[] = "]}\x1e";
    (void)count;
    char head[300], id[40] = "";
    if (options.acknowledge) {
        snprintf(id, sizeof id, "\"invocationId\":\"%u\",", number);
    }
    size_t length = (size_t)snprintf(head, sizeof head, "{\"type\":1,%s\"target\":\"Publish\",\"arguments\":[\"%s\",", id, channel_name(channel));
    uint8_t *out = websocket_begin(connection, length + options.bytes + sizeof end - 1);
    memcpy(out, head, length);
    memcpy(out + length, events[0], options.bytes);
    memcpy(out + length + options.bytes, end, sizeof end - 1);
}

static void receive_completion(struct connection *connection, const uint8_t *record, size_t length)
{
    static const char before_id[] = "{\"type\":3,\"invocationId\":\"";
    if (length < sizeof before_id || memcmp(record, before_id, sizeof before_id - 1) != 0 || memmem(record, length, "\"error\"", 7) != NULL) {
        failed(connection, "an invocation failed", record, length);
        return;
    }
    const uint8_t *at = record + sizeof before_id - 1;
    if (*at == SUBSCRIBE_ID[0]) {
        subscribed(connection);
        return;
    }
    uint32_t number = 0;
    for (; at < record + length && *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint32_t)(*at - '0');
    }
    acknowledged(connection, number);
}

/* Records begin with {"type": and a digit; the answer to the greeting, which is {}, is the one that does not. */
static void receive_record(struct connection *connection, const uint8_t *record, size_t length)
{
    char type = length > 8 ? (char)record[8] : 0;
    if (PROGRESS(connection) == OPENED && length == 2) {
        PROGRESS(connection) = GREETED;
        connected(connection);
    } else if (type == '1') {
        const uint8_t *text = event_before(record, length, sizeof "\"]}" - 1);
        if (text != NULL) {
            delivered(connection, text);
        } else {
            failed(connection, "an event that nobody published", record, length);
        }
    } else if (type == '3') {
        receive_completion(connection, record, length);
    } else if (type != '6') {
        failed(connection, "the server sent", record, length);
    }
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    size_t consumed = 0;
    while (consumed < length) {
        const uint8_t *end = memchr(data + consumed, RECORD_END, length - consumed);
        if (end == NULL) {
            break;
        }
        receive_record(connection, data + consumed, (size_t)(end - data) - consumed);
        consumed = (size_t)(end + 1 - data);
    }
    return consumed;
}

/* A hub gives up a client that has not been heard of for 30 seconds. */
static void ping(struct connection *connection) { websocket_send(connection, "{\"type\":6}\x1e", 11); }

const struct protocol protocol_signalr = {
    .name = "signalr",
    .stream = true,
    .unacknowledged = true,
    .batch_max = 1,
    .tick_seconds = 15,
    .channel = name_channel,
    .upgrade = upgrade,
    .opened = opened,
    .subscribe = subscribe,
    .publish = publish,
    .receive = receive,
    .tick = ping,
};
