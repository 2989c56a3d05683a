/* AppSync Events with an API key, as Fanfare and the floor (../floor) speak it. */
#include "protocol.h"

#include <stdio.h>

static char authorization[512]; /* the object, as text */

static void name_channel(char *name, size_t capacity, const char *channel)
{
    snprintf(name, capacity, "/%s", channel);
    snprintf(authorization, sizeof authorization, "{\"host\":\"%s\",\"x-api-key\":\"%s\"}", options.host, options.key);
}

static size_t encode_base64url(char *out, const uint8_t *data, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t written = 0;
    for (size_t i = 0; i < length; i += 3) {
        unsigned rest = length - i < 3 ? (unsigned)(length - i) : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (uint32_t)(rest > 1 ? data[i + 1] : 0) << 8 | (rest > 2 ? data[i + 2] : 0);
        for (unsigned digit = 0; digit <= rest; digit++) {
            out[written++] = digits[bits >> (18 - 6 * digit) & 63];
        }
    }
    out[written] = 0;
    return written;
}

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    (void)connection;
    char header[700];
    encode_base64url(header, (const uint8_t *)authorization, strlen(authorization));
    snprintf(upgrade->path, sizeof upgrade->path, "%s", options.path != NULL ? options.path : "/event/realtime");
    snprintf(upgrade->headers, sizeof upgrade->headers, "Sec-WebSocket-Protocol: aws-appsync-event-ws, header-%s\r\n", header);
}

static void opened(struct connection *connection)
{
    static const char init[] = "{\"type\":\"connection_init\"}";
    websocket_send(connection, init, sizeof init - 1);
}

static void subscribe(struct connection *connection)
{
    char message[1024];
    int length = snprintf(message, sizeof message, "{\"type\":\"subscribe\",\"id\":\"s%u\",\"channel\":\"%s\",\"authorization\":%s}",
        connection->number, channel_name(connection->channel), authorization);
    websocket_send(connection, message, (size_t)length);
}

static uint8_t *put(uint8_t *out, const void *data, size_t length)
{
    memcpy(out, data, length);
    return out + length;
}

#define PUT_LITERAL(out, literal) put(out, literal, sizeof literal - 1)

/* Of an event: "\" and its text and \"" with a comma before all but the first. */
static size_t events_length(unsigned count) { return count * (options.text_length + 6) + count - 1; }

static uint8_t *put_events(uint8_t *out, const uint8_t *const *events, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        out = i == 0 ? PUT_LITERAL(out, "\"\\\"") : PUT_LITERAL(out, ",\"\\\"");
        out = put(out, events[i] + 1, options.text_length);
        out = PUT_LITERAL(out, "\\\"\"");
    }
    return out;
}

/* Numbers of a fixed width keep the message's length known before it is written. */
static uint8_t *put_number(uint8_t *out, uint32_t number)
{
    for (int digit = 7; digit >= 0; digit--) {
        *out++ = (uint8_t)"0123456789abcdef"[number >> (4 * digit) & 15];
    }
    return out;
}

static void publish(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    static const char start[] = "{\"type\":\"publish\",\"id\":\"p";
    static const char before_channel[] = "\",\"channel\":\"";
    static const char before_events[] = "\",\"events\":[";
    static const char before_authorization[] = "],\"authorization\":";
    const char *name = channel_name(channel);
    size_t name_length = strlen(name), authorization_length = strlen(authorization);
    size_t length = sizeof start - 1 + 8 + sizeof before_channel - 1 + name_length + sizeof before_events - 1 + events_length(count)
        + sizeof before_authorization - 1 + authorization_length + 1;
    uint8_t *out = websocket_begin(connection, length);
    out = PUT_LITERAL(out, start);
    out = put_number(out, number);
    out = PUT_LITERAL(out, before_channel);
    out = put(out, name, name_length);
    out = PUT_LITERAL(out, before_events);
    out = put_events(out, events, count);
    out = PUT_LITERAL(out, before_authorization);
    out = put(out, authorization, authorization_length);
    *out = '}';
}

static void post(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    (void)number;
    const char *name = channel_name(channel);
    char head[1024];
    size_t body = sizeof "{\"channel\":\"\",\"events\":[]}" - 1 + strlen(name) + events_length(count);
    int length = snprintf(head, sizeof head,
        "POST /event HTTP/1.1\r\nHost: %s\r\nx-api-key: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
        "{\"channel\":\"%s\",\"events\":[", options.host, options.key, body, name);
    buffer_append(&connection->out, head, (size_t)length);
    uint8_t *out = buffer_extend(&connection->out, events_length(count) + 2);
    out = put_events(out, events, count);
    PUT_LITERAL(out, "]}");
}

static bool contains(const uint8_t *data, size_t length, const char *text)
{
    return memmem(data, length, text, strlen(text)) != NULL;
}

static void posted(struct connection *connection, int status, const uint8_t *body, size_t length)
{
    if (status == 200 && contains(body, length, "\"failed\":[]")) {
        acknowledged_next(connection);
    } else {
        failed(connection, "a publish was refused", body, length);
    }
}

static bool starts_with(const uint8_t *data, size_t length, const char *text, size_t text_length)
{
    return length >= text_length && memcmp(data, text, text_length) == 0;
}

#define STARTS_WITH(data, length, literal) starts_with(data, length, literal, sizeof literal - 1)

static bool ends_with(const uint8_t *data, size_t length, const char *text)
{
    size_t text_length = strlen(text);
    return length >= text_length && memcmp(data + length - text_length, text, text_length) == 0;
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    static const char published[] = "{\"type\":\"publish_success\",\"id\":\"p";
    if (STARTS_WITH(data, length, "{\"type\":\"data\",")) {
        const uint8_t *text = event_before(data, length, sizeof "\\\"\"}" - 1);
        if (text != NULL) {
            delivered(connection, text);
        } else {
            failed(connection, "an event that nobody published", data, length);
        }
    } else if (STARTS_WITH(data, length, published) && length > sizeof published - 1 + 8
        && (ends_with(data, length, "\"failed\":[]}") || contains(data, length, "\"failed\":[]"))) {
        uint32_t number = 0;
        for (unsigned i = 0; i < 8; i++) {
            uint8_t digit = data[sizeof published - 1 + i];
            number = number << 4 | (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        }
        acknowledged(connection, number);
    } else if (STARTS_WITH(data, length, "{\"type\":\"connection_ack\"")) {
        connected(connection);
    } else if (STARTS_WITH(data, length, "{\"type\":\"subscribe_success\"")) {
        subscribed(connection);
    } else if (!STARTS_WITH(data, length, "{\"type\":\"ka\"")) {
        failed(connection, "the server answered", data, length);
    }
    return length;
}

const struct protocol protocol_appsync = {
    .name = "appsync",
    .wildcards = true,
    .batch_max = 5,
    .channel = name_channel,
    .upgrade = upgrade,
    .opened = opened,
    .subscribe = subscribe,
    .publish = publish,
    .post = post,
    .posted = posted,
    .receive = receive,
};
