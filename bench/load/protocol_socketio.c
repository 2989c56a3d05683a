/* Socket.IO 4 over WebSocket alone, with the server of bench/SocketIo. An event that has an id is answered by its acknowledgement. */
#include "protocol.h"

#include <stdio.h>

/* Engine.IO's packets, by their first character; those of Socket.IO are within messages, by the second one. */
enum engine_packet { ENGINE_OPEN = '0', ENGINE_PING = '2', ENGINE_MESSAGE = '4' };
enum packet { CONNECT = '0', EVENT = '2', ACKNOWLEDGEMENT = '3' };

static void name_channel(char *name, size_t capacity, const char *channel) { snprintf(name, capacity, "%s", channel); }

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    (void)connection;
    snprintf(upgrade->path, sizeof upgrade->path, "%s", options.path != NULL ? options.path : "/socket.io/?EIO=4&transport=websocket");
}

/* The server speaks first. */
static void opened(struct connection *connection) { (void)connection; }

static void subscribe(struct connection *connection)
{
    char message[300];
    int length = snprintf(message, sizeof message, "420[\"subscribe\",\"%s\"]", channel_name(connection->channel));
    websocket_send(connection, message, (size_t)length);
}

static void publish(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    (void)count;
    char head[300];
    size_t length = (size_t)snprintf(head, sizeof head, "42%u[\"publish\",\"%s\",", number, channel_name(channel));
    uint8_t *out = websocket_begin(connection, length + options.bytes + 1);
    memcpy(out, head, length);
    memcpy(out + length, events[0], options.bytes);
    out[length + options.bytes] = ']';
}

static void receive_acknowledgement(struct connection *connection, const uint8_t *data, size_t length)
{
    if (!connection->publisher) {
        subscribed(connection);
        return;
    }
    uint32_t number = 0;
    for (size_t i = 2; i < length && data[i] >= '0' && data[i] <= '9'; i++) {
        number = number * 10 + (uint32_t)(data[i] - '0');
    }
    acknowledged(connection, number);
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    char engine = length > 0 ? (char)data[0] : 0, packet = length > 1 ? (char)data[1] : 0;
    if (engine == ENGINE_MESSAGE && packet == EVENT) {
        const uint8_t *text = event_before(data, length, sizeof "\"]" - 1);
        if (text != NULL) {
            delivered(connection, text);
        } else {
            failed(connection, "an event that nobody published", data, length);
        }
    } else if (engine == ENGINE_MESSAGE && packet == ACKNOWLEDGEMENT) {
        receive_acknowledgement(connection, data, length);
    } else if (engine == ENGINE_MESSAGE && packet == CONNECT) {
        connected(connection);
    } else if (engine == ENGINE_OPEN) {
        websocket_send(connection, "40", 2);
    } else if (engine == ENGINE_PING) {
        websocket_send(connection, "3", 1);
    } else {
        failed(connection, "the server sent", data, length);
    }
    return length;
}

const struct protocol protocol_socketio = {
    .name = "socketio",
    .batch_max = 1,
    .channel = name_channel,
    .upgrade = upgrade,
    .opened = opened,
    .subscribe = subscribe,
    .publish = publish,
    .receive = receive,
};
