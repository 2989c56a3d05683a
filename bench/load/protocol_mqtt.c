/* MQTT 3.1.1 over WebSocket, as Mosquitto speaks it: publishes of QoS 1, which are acknowledged, and deliveries of QoS 0. */
#include "protocol.h"

#include <stdio.h>
#include <unistd.h>

enum packet { CONNECT = 1, CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBSCRIBE = 8, SUBACK = 9 };

#define PACKET_ID_MAX 65535

static void name_channel(char *name, size_t capacity, const char *channel)
{
    snprintf(name, capacity, "%s", channel);
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '*') {
        name[length - 1] = '#';
    }
}

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    (void)connection;
    snprintf(upgrade->path, sizeof upgrade->path, "%s", options.path != NULL ? options.path : "/mqtt");
    snprintf(upgrade->headers, sizeof upgrade->headers, "Sec-WebSocket-Protocol: mqtt\r\n");
}

static uint8_t *put_text(uint8_t *out, const char *text)
{
    size_t length = strlen(text);
    *out++ = (uint8_t)(length >> 8);
    *out++ = (uint8_t)length;
    memcpy(out, text, length);
    return out + length;
}

/* Packets that are sent once for a connection are shorter than 128 bytes, so that their length is one byte. */
static void opened(struct connection *connection)
{
    char id[40];
    snprintf(id, sizeof id, "%c%u-%d", connection->publisher ? 'p' : 's', connection->number, (int)getpid());
    uint8_t packet[100];
    uint8_t *out = packet + 2;
    out = put_text(out, "MQTT");
    *out++ = 4; /* 3.1.1 */
    *out++ = 2; /* a clean session */
    *out++ = 0;
    *out++ = 0; /* no keep-alive */
    out = put_text(out, id);
    packet[0] = CONNECT << 4;
    packet[1] = (uint8_t)(out - packet - 2);
    websocket_send(connection, packet, (size_t)(out - packet));
}

static void subscribe(struct connection *connection)
{
    uint8_t packet[128];
    uint8_t *out = packet + 2;
    *out++ = 0;
    *out++ = 1;
    out = put_text(out, channel_name(connection->channel));
    *out++ = 0; /* QoS */
    packet[0] = SUBSCRIBE << 4 | 2;
    packet[1] = (uint8_t)(out - packet - 2);
    websocket_send(connection, packet, (size_t)(out - packet));
}

static size_t get_length_digits(size_t length) { return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4; }

static void publish(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    (void)count;
    const char *name = channel_name(channel);
    size_t rest = 2 + strlen(name) + (options.acknowledge ? 2 : 0) + options.bytes;
    uint8_t *out = websocket_begin(connection, 1 + get_length_digits(rest) + rest);
    *out++ = (uint8_t)(PUBLISH << 4 | (options.acknowledge ? 2 : 0));
    for (size_t left = rest; ;) {
        *out++ = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        left >>= 7;
        if (left == 0) {
            break;
        }
    }
    out = put_text(out, name);
    if (options.acknowledge) {
        uint32_t id = number % PACKET_ID_MAX + 1;
        *out++ = (uint8_t)(id >> 8);
        *out++ = (uint8_t)id;
    }
    memcpy(out, events[0], options.bytes);
}

static void receive_packet(struct connection *connection, const uint8_t *packet, size_t length, size_t head)
{
    switch ((enum packet)(packet[0] >> 4)) {
    case PUBLISH: {
        const uint8_t *text = event_before(packet, length, 1);
        if (text != NULL) {
            delivered(connection, text);
        } else {
            failed(connection, "an event that nobody published", packet, length);
        }
        break;
    }
    case PUBACK:
        acknowledged_next(connection); /* a server acknowledges in the order of the publishes */
        break;
    case CONNACK:
        if (packet[head + 1] == 0) {
            connected(connection);
        } else {
            failed(connection, "the connection was refused", packet, length);
        }
        break;
    case SUBACK:
        if (packet[head + 2] == 0) {
            subscribed(connection);
        } else {
            failed(connection, "the subscription was refused", packet, length);
        }
        break;
    default:
        failed(connection, "the server sent", packet, length);
        break;
    }
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    size_t consumed = 0;
    while (consumed + 2 <= length) {
        const uint8_t *packet = data + consumed;
        size_t available = length - consumed, head = 1, rest = 0;
        unsigned shift = 0;
        bool more = true;
        while (more && head < available && shift < 28) {
            rest |= (size_t)(packet[head] & 127) << shift;
            more = (packet[head] & 128) != 0;
            shift += 7;
            head++;
        }
        if (more || available < head + rest) {
            break;
        }
        receive_packet(connection, packet, head + rest, head);
        consumed += head + rest;
    }
    return consumed;
}

const struct protocol protocol_mqtt = {
    .name = "mqtt",
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
