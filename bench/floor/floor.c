/*
 * The floor: a bare broadcaster that speaks AppSync Events' frames. One thread, epoll, no TLS, no authorization, and nothing is validated
 * beyond what is needed to find it. What a broker costs above this is what it does more, or does badly.
 *
 *   gcc -std=gnu11 -O2 -D_GNU_SOURCE -o floor floor.c && ./floor --port 8080
 *
 * A turn of the loop reads from every connection that has something, answers it, and puts published events into their channels' batches. Then
 * each subscription of a channel with a batch gets all of it by one send, out of one buffer that stays in the cache. Only what a socket does not
 * take is kept for a connection, so an idle one has no buffer.
 *
 * --fault drop|duplicate|reorder|damage makes one delivery in some hundred wrong: the load generator's check has to find it.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_SIZE (64 * 1024)
#define TURN_EVENTS 256
#define BATCH_BYTES_MAX (1024 * 1024)    /* of all events of a turn */
#define PENDING_BYTES_MAX (16 * 1024 * 1024)
#define CHANNELS 65536                   /* buckets */
#define SEGMENTS_MAX 8
#define FAULT_EVERY 997

struct buffer {
    uint8_t *data;
    uint32_t length, capacity;
};

struct connection {
    int socket;
    bool upgraded, waits_for_room, closed;
    uint32_t first_subscription; /* index + 1 */
    struct buffer *in, *out;     /* the beginning of a message; what the socket did not take */
    struct connection *next_closed;
};

struct subscription {
    struct connection *connection;
    struct channel *channel;
    uint32_t position;          /* in channel->subscriptions */
    uint32_t next;              /* of the connection, or of the free ones: index + 1 */
    uint8_t head_length;
    char id[27];                /* longer ones are refused */
};

struct channel {
    struct channel *next;           /* in its bucket */
    struct channel *next_touched;
    struct channel *ancestors[SEGMENTS_MAX]; /* the wildcards above it */
    uint32_t ancestor_count;
    uint32_t subscription_count, subscription_capacity;
    uint32_t *subscriptions;
    uint32_t *batch;                /* numbers of events in this turn */
    uint32_t batch_count, batch_capacity;
    uint16_t name_length;
    char name[];
};

struct event {
    uint32_t offset, length; /* in `tails` */
};

static int epoll;
static struct channel *buckets[CHANNELS], *touched;
static struct subscription *subscriptions;
static uint32_t subscription_count, subscription_capacity, free_subscription;
static struct buffer tails, scratch, reply;
static struct event *turn_events;
static uint32_t turn_event_count, turn_event_capacity;
static struct connection *closed_connections;
static uint64_t published_count;
static enum { NO_FAULT, DROP, DUPLICATE, REORDER, DAMAGE } fault;
static uint32_t fault_countdown = FAULT_EVERY;

static void *check(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "floor: out of memory\n");
        exit(1);
    }
    return memory;
}

static uint8_t *extend(struct buffer *buffer, size_t length)
{
    if (buffer->length + length > buffer->capacity) {
        buffer->capacity = (uint32_t)(2 * (buffer->length + length));
        buffer->data = check(realloc(buffer->data, buffer->capacity));
    }
    buffer->length += (uint32_t)length;
    return buffer->data + buffer->length - length;
}

static void append(struct buffer *buffer, const void *data, size_t length) { memcpy(extend(buffer, length), data, length); }

#define APPEND_LITERAL(buffer, literal) append(buffer, literal, sizeof literal - 1)

static void release(struct buffer **buffer)
{
    if (*buffer != NULL) {
        free((*buffer)->data);
        free(*buffer);
        *buffer = NULL;
    }
}

static struct buffer *keep(const uint8_t *data, size_t length)
{
    struct buffer *buffer = check(calloc(1, sizeof *buffer));
    append(buffer, data, length);
    return buffer;
}

static uint8_t *put(uint8_t *out, const void *data, size_t length)
{
    memcpy(out, data, length);
    return out + length;
}

static uint8_t *put_header(uint8_t *out, uint8_t opcode, size_t length)
{
    *out++ = 0x80 | opcode;
    if (length < 126) {
        *out++ = (uint8_t)length;
    } else if (length < 65536) {
        *out++ = 126;
        *out++ = (uint8_t)(length >> 8);
        *out++ = (uint8_t)length;
    } else {
        uint64_t wide = htobe64(length);
        *out++ = 127;
        out = put(out, &wide, 8);
    }
    return out;
}

static void append_frame(struct buffer *buffer, uint8_t opcode, const void *data, size_t length)
{
    uint8_t header[10];
    append(buffer, header, (size_t)(put_header(header, opcode, length) - header));
    append(buffer, data, length);
}

/* ---- Channels ---- */

static void subscribe(struct connection *connection, struct channel *channel, const uint8_t *id, size_t id_length)
{
    uint32_t index = free_subscription;
    if (index != 0) {
        free_subscription = subscriptions[index - 1].next;
        index--;
    } else {
        if (subscription_count == subscription_capacity) {
            subscription_capacity = subscription_capacity * 2 + 1024;
            subscriptions = check(realloc(subscriptions, subscription_capacity * sizeof *subscriptions));
        }
        index = subscription_count++;
    }
    if (channel->subscription_count == channel->subscription_capacity) {
        channel->subscription_capacity = channel->subscription_capacity * 2 + 4;
        channel->subscriptions = check(realloc(channel->subscriptions, channel->subscription_capacity * sizeof *channel->subscriptions));
    }
    struct subscription *subscription = &subscriptions[index];
    subscription->connection = connection;
    subscription->channel = channel;
    subscription->position = channel->subscription_count;
    subscription->next = connection->first_subscription;
    subscription->head_length = (uint8_t)id_length;
    memcpy(subscription->id, id, id_length);
    connection->first_subscription = index + 1;
    channel->subscriptions[channel->subscription_count++] = index;
}

static void unsubscribe_all(struct connection *connection)
{
    while (connection->first_subscription != 0) {
        uint32_t index = connection->first_subscription - 1;
        struct subscription *subscription = &subscriptions[index];
        struct channel *channel = subscription->channel;
        uint32_t last = channel->subscriptions[--channel->subscription_count];
        channel->subscriptions[subscription->position] = last;
        subscriptions[last].position = subscription->position;
        connection->first_subscription = subscription->next;
        subscription->next = free_subscription;
        free_subscription = index + 1;
    }
}

static struct channel *find_channel(const uint8_t *name, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ name[i]) * 0x100000001b3u;
    }
    struct channel **bucket = &buckets[(hash ^ hash >> 32) % CHANNELS];
    for (struct channel *channel = *bucket; channel != NULL; channel = channel->next) {
        if (channel->name_length == length && memcmp(channel->name, name, length) == 0) {
            return channel;
        }
    }
    struct channel *channel = check(calloc(1, sizeof *channel + length));
    memcpy(channel->name, name, length);
    channel->name_length = (uint16_t)length;
    channel->next = *bucket;
    *bucket = channel;
    if (length > 0 && name[length - 1] != '*') {
        uint8_t pattern[512];
        for (size_t i = length - 1; i > 0 && length < sizeof pattern && channel->ancestor_count < SEGMENTS_MAX; i--) {
            if (name[i] == '/') {
                memcpy(pattern, name, i + 1);
                pattern[i + 1] = '*';
                channel->ancestors[channel->ancestor_count++] = find_channel(pattern, i + 2);
            }
        }
    }
    return channel;
}

/* ---- Sending ---- */

static void watch(struct connection *connection, int operation)
{
    struct epoll_event event = { .events = EPOLLIN | (connection->waits_for_room ? EPOLLOUT : 0), .data.ptr = connection };
    epoll_ctl(epoll, operation, connection->socket, &event);
}

static void close_connection(struct connection *connection)
{
    if (!connection->closed) {
        connection->closed = true;
        close(connection->socket);
        release(&connection->in);
        release(&connection->out);
        connection->next_closed = closed_connections; /* an event of this turn may still point to it */
        closed_connections = connection;
    }
}

static void flush(struct connection *connection)
{
    struct buffer *out = connection->out;
    ssize_t sent = send(connection->socket, out->data, out->length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        close_connection(connection);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    out->length -= (uint32_t)sent;
    memmove(out->data, out->data + sent, out->length);
    if (out->length == 0) {
        release(&connection->out);
        connection->waits_for_room = false;
        watch(connection, EPOLL_CTL_MOD);
    }
}

static void send_or_keep(struct connection *connection, const uint8_t *data, size_t length)
{
    if (connection->closed) {
        return;
    }
    ssize_t sent = 0;
    if (connection->out == NULL) {
        sent = send(connection->socket, data, length, MSG_NOSIGNAL);
        if (sent == (ssize_t)length) {
            return;
        }
        if (sent < 0 && errno != EAGAIN) {
            close_connection(connection);
            return;
        }
        sent = sent < 0 ? 0 : sent;
        connection->out = keep(data + sent, length - (size_t)sent);
        connection->waits_for_room = true;
        watch(connection, EPOLL_CTL_MOD);
    } else if (connection->out->length + length > PENDING_BYTES_MAX) {
        close_connection(connection);
    } else {
        append(connection->out, data, length);
    }
}

/* What the fault makes of the events of one subscription's batch that begin at `frame` and end at `end`. */
static void apply_fault(uint8_t *previous, uint8_t *frame, uint8_t *end)
{
    size_t length = (size_t)(end - frame);
    if (--fault_countdown > 0) {
        return;
    }
    if (fault == DAMAGE) {
        end[-20] ^= 1; /* inside the event */
    } else if (fault == DROP) {
        scratch.length -= (uint32_t)length;
    } else if (fault == DUPLICATE) {
        extend(&scratch, length);
        memcpy(scratch.data + scratch.length - length, scratch.data + scratch.length - 2 * length, length);
    } else if (previous != NULL && (size_t)(frame - previous) == length) {
        for (size_t i = 0; i < length; i++) {
            uint8_t byte = previous[i];
            previous[i] = frame[i];
            frame[i] = byte;
        }
    } else {
        fault_countdown = 1; /* the next that has one before it */
        return;
    }
    fault_countdown = FAULT_EVERY;
}

static void fan_out(void)
{
    static const char before_id[] = "{\"type\":\"data\",\"id\":\"", behind_id[] = "\",\"event\":";
    while (touched != NULL) {
        struct channel *channel = touched;
        touched = channel->next_touched;
        for (uint32_t i = 0; i < channel->subscription_count; i++) {
            const struct subscription *subscription = &subscriptions[channel->subscriptions[i]];
            uint8_t head[64], *head_end = put(head, before_id, sizeof before_id - 1), *previous = NULL;
            head_end = put(head_end, subscription->id, subscription->head_length);
            head_end = put(head_end, behind_id, sizeof behind_id - 1);
            size_t head_length = (size_t)(head_end - head);
            scratch.length = 0;
            for (uint32_t j = 0; j < channel->batch_count; j++) {
                struct event event = turn_events[channel->batch[j]];
                size_t length = head_length + event.length;
                extend(&scratch, 10 + length);
                uint8_t *frame = scratch.data + scratch.length - 10 - length;
                uint8_t *out = put_header(frame, 1, length);
                out = put(out, head, head_length);
                out = put(out, tails.data + event.offset, event.length);
                scratch.length = (uint32_t)(out - scratch.data);
                if (fault != NO_FAULT) {
                    apply_fault(previous, frame, out);
                    previous = frame;
                }
            }
            send_or_keep(subscription->connection, scratch.data, scratch.length);
        }
        channel->batch_count = 0;
    }
    turn_event_count = 0;
    tails.length = 0;
}

/* ---- Messages ---- */

struct text {
    const uint8_t *start;
    size_t length;
};

/* The string behind `key`, which is a member's name with its colon and the opening quote. Ids and channels have no escapes. */
static struct text find_string(const uint8_t *data, size_t length, const char *key)
{
    size_t key_length = strlen(key);
    const uint8_t *found = memmem(data, length, key, key_length);
    if (found == NULL) {
        return (struct text) { NULL, 0 };
    }
    const uint8_t *start = found + key_length, *end = memchr(start, '"', length - (size_t)(start - data));
    return end == NULL ? (struct text) { NULL, 0 } : (struct text) { start, (size_t)(end - start) };
}

static void add_to_batch(struct channel *channel, uint32_t event)
{
    if (channel->subscription_count == 0) {
        return;
    }
    if (channel->batch_count == 0) {
        channel->next_touched = touched;
        touched = channel;
    }
    if (channel->batch_count == channel->batch_capacity) {
        channel->batch_capacity = channel->batch_capacity * 2 + 16;
        channel->batch = check(realloc(channel->batch, channel->batch_capacity * sizeof *channel->batch));
    }
    channel->batch[channel->batch_count++] = event;
}

/* Takes the events of a publish, and returns how many there were; 0 if it made no sense. */
static unsigned publish(const uint8_t *data, size_t length)
{
    struct text name = find_string(data, length, "\"channel\":\"");
    const uint8_t *end = data + length, *at = memmem(data, length, "\"events\":[", 10);
    if (name.start == NULL || at == NULL) {
        return 0;
    }
    struct channel *channel = find_channel(name.start, name.length);
    unsigned count = 0;
    for (at += 10; at < end && *at == '"'; at += *at == ',') {
        const uint8_t *start = at++;
        while ((at = memchr(at, '"', (size_t)(end - at))) != NULL && at[-1] == '\\') {
            at++;
        }
        if (at == NULL) {
            return 0;
        }
        at++;
        if (turn_event_count == turn_event_capacity) {
            turn_event_capacity = turn_event_capacity * 2 + 1024;
            turn_events = check(realloc(turn_events, turn_event_capacity * sizeof *turn_events));
        }
        turn_events[turn_event_count] = (struct event) { tails.length, (uint32_t)(at - start) + 1 };
        uint8_t *tail = extend(&tails, (size_t)(at - start) + 1);
        *put(tail, start, (size_t)(at - start)) = '}';
        add_to_batch(channel, turn_event_count);
        for (uint32_t i = 0; i < channel->ancestor_count; i++) {
            add_to_batch(channel->ancestors[i], turn_event_count);
        }
        turn_event_count++;
        count++;
    }
    return count;
}

static void append_successful(struct buffer *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        static const char hex[] = "0123456789abcdef";
        char item[] = ",{\"identifier\":\"00000000-0000-4000-8000-000000000000\",\"index\":0}";
        uint64_t number = published_count++;
        for (unsigned digit = 0; digit < 12; digit++) {
            item[51 - digit] = hex[number >> (4 * digit) & 15];
        }
        item[sizeof item - 3] = (char)('0' + i);
        append(out, item + (i == 0), sizeof item - 1 - (i == 0));
    }
}

static void receive_message(struct connection *connection, const uint8_t *data, size_t length)
{
    static struct buffer message;
    message.length = 0;
    struct text type = find_string(data, length, "\"type\":\""), id = find_string(data, length, "\"id\":\"");
    if (type.length == 7 && memcmp(type.start, "publish", 7) == 0) {
        unsigned count = publish(data, length);
        APPEND_LITERAL(&message, "{\"type\":\"publish_success\",\"id\":\"");
        append(&message, id.start, id.length);
        APPEND_LITERAL(&message, "\",\"successful\":[");
        append_successful(&message, count);
        APPEND_LITERAL(&message, "],\"failed\":[]}");
        append_frame(&reply, 1, message.data, message.length);
    } else if (type.length == 9 && memcmp(type.start, "subscribe", 9) == 0 && id.length <= sizeof ((struct subscription *)NULL)->id) {
        struct text name = find_string(data, length, "\"channel\":\"");
        subscribe(connection, find_channel(name.start, name.length), id.start, id.length);
        APPEND_LITERAL(&message, "{\"type\":\"subscribe_success\",\"id\":\"");
        append(&message, id.start, id.length);
        APPEND_LITERAL(&message, "\"}");
        append_frame(&reply, 1, message.data, message.length);
    } else if (type.length == 15 && memcmp(type.start, "connection_init", 15) == 0) {
        static const char acknowledgement[] = "{\"type\":\"connection_ack\",\"connectionTimeoutMs\":300000}", keep_alive[] = "{\"type\":\"ka\"}";
        append_frame(&reply, 1, acknowledgement, sizeof acknowledgement - 1);
        append_frame(&reply, 1, keep_alive, sizeof keep_alive - 1);
    } else {
        static const char error[] = "{\"type\":\"error\",\"errors\":[{\"errorType\":\"UnsupportedOperation\"}]}";
        append_frame(&reply, 1, error, sizeof error - 1);
    }
}

/* ---- Upgrade ---- */

static uint32_t rotate(uint32_t value, unsigned bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < 80; i++) {
        if (i < 16) {
            memcpy(&words[i], block + 4 * i, 4);
            words[i] = be32toh(words[i]);
        } else {
            words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
        }
        uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + k + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Base64 of SHA-1 of a key (24 characters) and the GUID (36): 60 bytes, so two blocks. */
static void accept_key(char out[29], const uint8_t *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t state[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    uint8_t block[128] = { 0 }, digest[21] = { 0 };
    memcpy(block, key, 24);
    memcpy(block + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    block[60] = 0x80;
    block[126] = 60 * 8 >> 8;
    block[127] = 60 * 8 & 255;
    sha1_block(state, block);
    sha1_block(state, block + 64);
    for (unsigned i = 0; i < 20; i++) {
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
    for (unsigned i = 0; i < 28; i++) {
        uint32_t bits = (uint32_t)digest[i / 4 * 3] << 16 | (uint32_t)digest[i / 4 * 3 + 1] << 8 | digest[i / 4 * 3 + 2];
        out[i] = digits[bits >> (18 - 6 * (i % 4)) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

static const uint8_t *header_value(const uint8_t *head, size_t length, const char *name)
{
    const uint8_t *end = head + length, *line = head;
    size_t name_length = strlen(name);
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((size_t)(end - line) > name_length && strncasecmp((const char *)line, name, name_length) == 0) {
            for (line += name_length; *line == ' '; line++) {
            }
            return line;
        }
    }
    return NULL;
}

/* Answers a request, an upgrade or a publish; returns its length, 0 while its end has not come, -1 to close. */
static ssize_t receive_request(struct connection *connection, const uint8_t *data, size_t length)
{
    const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    char text[512];
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - data) + 4;
    const uint8_t *key = header_value(data, head, "sec-websocket-key:");
    if (key != NULL) {
        char accept[29];
        accept_key(accept, key);
        append(&reply, text, (size_t)snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: aws-appsync-event-ws\r\n\r\n", accept));
        connection->upgraded = true;
        return (ssize_t)head;
    }
    const uint8_t *content_length = header_value(data, head, "content-length:");
    if (content_length == NULL) {
        return -1;
    }
    size_t body_length = strtoul((const char *)content_length, NULL, 10);
    if (length - head < body_length) {
        return 0;
    }
    static struct buffer body;
    body.length = 0;
    APPEND_LITERAL(&body, "{\"failed\":[],\"successful\":[");
    append_successful(&body, publish(data + head, body_length));
    APPEND_LITERAL(&body, "]}");
    append(&reply, text, (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %u\r\n\r\n", body.length));
    append(&reply, body.data, body.length);
    return (ssize_t)(head + body_length);
}

/* ---- Receiving ---- */

/* The length of the frame at `data`, 0 while its end has not come, -1 to close. */
static ssize_t receive_frame(struct connection *connection, uint8_t *data, size_t length)
{
    if (length < 6) {
        return 0;
    }
    size_t header = 6, size = data[1] & 127;
    if (size == 126) {
        header = 8;
        size = (size_t)data[2] << 8 | data[3];
    } else if (size == 127) {
        uint64_t wide;
        header = 14;
        memcpy(&wide, data + 2, 8);
        size = be64toh(wide);
    }
    if (size > PENDING_BYTES_MAX || (data[1] & 128) == 0 || (data[0] & 128) == 0) {
        return -1;
    }
    if (length < header + size) {
        return 0;
    }
    uint8_t *payload = data + header;
    uint32_t mask;
    memcpy(&mask, payload - 4, 4);
    if (mask != 0) {
        for (size_t i = 0; i < size; i++) {
            payload[i] ^= (uint8_t)(mask >> (8 * (i & 3)));
        }
    }
    switch (data[0] & 15) {
    case 1:
        receive_message(connection, payload, size);
        break;
    case 8:
        append_frame(&reply, 8, payload, size < 2 ? 0 : 2);
        return -1;
    case 9:
        append_frame(&reply, 10, payload, size);
        break;
    }
    return (ssize_t)(header + size);
}

static void receive(struct connection *connection)
{
    static uint8_t *buffer;
    static size_t capacity;
    size_t kept = connection->in != NULL ? connection->in->length : 0, at = 0;
    ssize_t consumed = 0;
    if (capacity < kept + RECEIVE_SIZE) {
        capacity = 2 * (kept + RECEIVE_SIZE);
        buffer = check(realloc(buffer, capacity));
    }
    if (kept > 0) {
        memcpy(buffer, connection->in->data, kept);
    }
    ssize_t received = recv(connection->socket, buffer + kept, RECEIVE_SIZE, 0);
    if (received <= 0) {
        if (received == 0 || errno != EAGAIN) {
            close_connection(connection);
        }
        return;
    }
    size_t length = kept + (size_t)received;
    reply.length = 0;
    while (at < length && (consumed = (connection->upgraded ? receive_frame(connection, buffer + at, length - at)
        : receive_request(connection, buffer + at, length - at))) > 0) {
        at += (size_t)consumed;
    }
    if (reply.length > 0) {
        send_or_keep(connection, reply.data, reply.length);
    }
    if (consumed < 0) {
        close_connection(connection);
    } else if (!connection->closed) {
        if (kept > 0) {
            release(&connection->in);
        }
        if (at < length) {
            connection->in = keep(buffer + at, length - at);
        }
    }
}

static void accept_all(int listener)
{
    int socket, on = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = check(calloc(1, sizeof *connection));
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->socket = socket;
        watch(connection, EPOLL_CTL_ADD);
    }
}

int main(int argc, char **argv)
{
    static const char *const faults[] = { "", "drop", "duplicate", "reorder", "damage" };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0) {
            address.sin_port = htons((uint16_t)atoi(argv[i + 1]));
        } else if (strcmp(argv[i], "--fault") == 0) {
            for (unsigned j = DROP; j <= DAMAGE; j++) {
                fault = strcmp(argv[i + 1], faults[j]) == 0 ? j : fault;
            }
        }
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
        perror("floor: listen");
        return 1;
    }
    struct epoll_event events[TURN_EVENTS], listening = { .events = EPOLLIN, .data.ptr = NULL };
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int count = epoll_wait(epoll, events, TURN_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_all(listener);
                continue;
            }
            if (!connection->closed && (events[i].events & EPOLLOUT) && connection->out != NULL) {
                flush(connection);
            }
            if (!connection->closed && (events[i].events & ~(uint32_t)EPOLLOUT)) {
                receive(connection);
            }
            if (tails.length > BATCH_BYTES_MAX) {
                fan_out();
            }
        }
        fan_out();
        while (closed_connections != NULL) {
            struct connection *connection = closed_connections;
            closed_connections = connection->next_closed;
            unsubscribe_all(connection);
            free(connection);
        }
    }
}
