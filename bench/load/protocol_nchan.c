/* Nchan, a module of nginx, with the locations of bench/Peers/Configurations/nginx.conf: a channel is a path to post to, or to open. */
#include "protocol.h"

#include <stdio.h>

static void name_channel(char *name, size_t capacity, const char *channel) { snprintf(name, capacity, "%s", channel); }

static void upgrade(const struct connection *connection, struct upgrade *upgrade)
{
    snprintf(upgrade->path, sizeof upgrade->path, "/subscribe/%s", channel_name(connection->channel));
}

static void opened(struct connection *connection) { connected(connection); }

static void subscribe(struct connection *connection) { subscribed(connection); }

static void post(struct connection *connection, uint32_t channel, uint32_t number, const uint8_t *const *events, unsigned count)
{
    (void)number;
    (void)count;
    char head[300];
    int length = snprintf(head, sizeof head, "POST /publish/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
        channel_name(channel), options.host, options.bytes);
    buffer_append(&connection->out, head, (size_t)length);
    buffer_append(&connection->out, events[0], options.bytes);
}

/* 201: there are subscribers; 202: there are none. */
static void posted(struct connection *connection, int status, const uint8_t *body, size_t length)
{
    if (status == 201 || status == 202) {
        acknowledged_next(connection);
    } else {
        failed(connection, "a publish was refused", body, length);
    }
}

static size_t receive(struct connection *connection, const uint8_t *data, size_t length)
{
    const uint8_t *text = event_before(data, length, 1);
    if (text != NULL) {
        delivered(connection, text);
    } else {
        failed(connection, "an event that nobody published", data, length);
    }
    return length;
}

const struct protocol protocol_nchan = {
    .name = "nchan",
    .batch_max = 1,
    .channel = name_channel,
    .upgrade = upgrade,
    .opened = opened,
    .subscribe = subscribe,
    .post = post,
    .posted = posted,
    .receive = receive,
    .http_only_publish = true,
};
